import { type Signal, WATCH_TOPIC } from "../core/storage.js";
import type { Execution } from "./execution.js";

interface Signals {
  readonly unread: Map<string, Signal>;
  readonly watches: Map<string, Signal>;
  /** Taken here, and not yet committed as read. */
  readonly taken: Set<string>;
}

/** The signals of a run that its holder knows and has not dealt with. Most runs get none, and have no room for any. */
export class Inbox {
  #signals: Signals | undefined;
  #count: number;

  constructor(signals: readonly Signal[], count: number) {
    this.#count = count;
    this.#add(signals);
  }

  /** After a claim: the store's view replaces ours. */
  reset(signals: readonly Signal[], count: number): void {
    this.#signals = undefined;
    this.#count = count;
    this.#add(signals);
  }

  /** @param answered what the store said of their number before these were read; one of them may be known already, and not have been counted */
  merge(signals: readonly Signal[], answered = 0): void {
    const before = this.#known;
    this.#add(signals);
    this.#count = Math.max(this.#count + this.#known - before, answered);
  }

  get #known(): number {
    if (this.#signals === undefined) return 0;
    const { unread, watches, taken } = this.#signals;
    return unread.size + watches.size + taken.size;
  }

  #add(signals: readonly Signal[]): void {
    if (signals.length === 0) return;
    this.#signals ??= { unread: new Map(), watches: new Map(), taken: new Set() };
    const { unread, watches, taken } = this.#signals;
    for (const signal of signals) {
      if (signal.topic === WATCH_TOPIC) watches.set(signal.id, signal);
      else if (!taken.has(signal.id)) unread.set(signal.id, signal);
    }
  }

  /** Signals ever added, as far as we know: the guard of the final commit. */
  get count(): number {
    return this.#count;
  }

  isBehind(count: number): boolean {
    return count > this.#count;
  }

  get isEmpty(): boolean {
    return (this.#signals?.unread.size ?? 0) === 0;
  }

  get watches(): readonly Signal[] {
    return [...(this.#signals?.watches.values() ?? [])];
  }

  /** The oldest unread signal of a topic, now somebody's to act on. */
  take(topic: string): Signal | undefined {
    if (this.#signals === undefined) return undefined;
    const { unread, taken } = this.#signals;
    for (const signal of unread.values()) {
      if (signal.topic !== topic) continue;
      unread.delete(signal.id);
      taken.add(signal.id);
      return signal;
    }
    return undefined;
  }

  /** Signals that nobody waits for: to be marked read with the next commit. */
  takeRest(): string[] {
    if (this.#signals === undefined) return [];
    const { unread, taken } = this.#signals;
    const ids = [...unread.keys()];
    for (const id of ids) taken.add(id);
    unread.clear();
    return ids;
  }
}

/** Brings it up to date, and fires nothing. */
export async function readInbox(
  { engine, runId, inbox }: Execution,
  answered: number,
): Promise<void> {
  inbox.merge(await engine.storage.listSignals(runId), answered);
}
