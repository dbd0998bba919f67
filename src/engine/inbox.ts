import { type Signal, WATCH_TOPIC } from "../core/storage.js";
import type { Execution } from "./execution.js";

/** The signals of a run that its holder knows and has not dealt with. */
export class Inbox {
  readonly #unread = new Map<string, Signal>();
  readonly #watches = new Map<string, Signal>();
  /** Taken here, and not yet committed as read. */
  readonly #taken = new Set<string>();
  #count: number;

  constructor(signals: readonly Signal[], count: number) {
    this.#count = count;
    this.#add(signals);
  }

  /** After a claim: the store's view replaces ours. */
  reset(signals: readonly Signal[], count: number): void {
    this.#unread.clear();
    this.#watches.clear();
    this.#taken.clear();
    this.#count = count;
    this.#add(signals);
  }

  merge(signals: readonly Signal[]): void {
    const before = this.#known;
    this.#add(signals);
    this.#count += this.#known - before;
  }

  get #known(): number {
    return this.#unread.size + this.#watches.size + this.#taken.size;
  }

  #add(signals: readonly Signal[]): void {
    for (const signal of signals) {
      if (signal.topic === WATCH_TOPIC) this.#watches.set(signal.id, signal);
      else if (!this.#taken.has(signal.id)) this.#unread.set(signal.id, signal);
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
    return this.#unread.size === 0;
  }

  get watches(): readonly Signal[] {
    return [...this.#watches.values()];
  }

  /** The oldest unread signal of a topic, now somebody's to act on. */
  take(topic: string): Signal | undefined {
    for (const signal of this.#unread.values()) {
      if (signal.topic !== topic) continue;
      this.#unread.delete(signal.id);
      this.#taken.add(signal.id);
      return signal;
    }
    return undefined;
  }

  /** Signals that nobody waits for: to be marked read with the next commit. */
  takeRest(): string[] {
    const ids = [...this.#unread.keys()];
    for (const id of ids) this.#taken.add(id);
    this.#unread.clear();
    return ids;
  }
}

/** Brings it up to date, and fires nothing. */
export async function readInbox({ engine, runId, inbox }: Execution): Promise<void> {
  inbox.merge(await engine.storage.listSignals(runId));
}
