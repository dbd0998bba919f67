import { AsyncResource } from "node:async_hooks";
import { hashText, type Random } from "./random.js";
import { Violation } from "./violation.js";

const realImmediate = globalThis.setImmediate;

/** Whoever may be frozen or dead: what belongs to it happens later or not at all. */
export interface Owner {
  readonly isDead: boolean;
  readonly isPaused: boolean;
}

interface Happening {
  readonly label: string;
  readonly owner: Owner | undefined;
  readonly run: () => void;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly owner: Owner | undefined;
  readonly callback: () => void;
}

/**
 * Everything that happens, one thing after the other, in an order that the seed
 * decides. Time moves when nothing else can happen, and now and then before.
 */
export class Schedule {
  readonly #random: Random;
  #happenings: Happening[] = [];
  readonly #timers = new Set<Timer>();
  #immediates: (() => void)[] = [];
  #now = 0;
  #order = 0;
  #hash = 0;
  #steps = 0;
  #turns = 0;
  /** Chance that time moves although something could happen. */
  hurry = 0;
  /** Chance that several things happen at once, as far as a storage behind a socket can tell. */
  crowd = 0;
  /** Until no storage is at work. */
  rest: (() => Promise<void>) | undefined;
  readonly log: string[] | undefined;

  constructor(random: Random, keepLog: boolean) {
    this.#random = random;
    this.log = keepLog ? [] : undefined;
  }

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now;
  }

  /** Grows with every macrotask: what has the same number happened between two of them. */
  get turn(): number {
    return this.#turns;
  }

  get steps(): number {
    return this.#steps;
  }

  /** Of all that happened so far. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  note(text: string): void {
    this.#hash = hashText(text, this.#hash);
    this.log?.push(`${this.#now.toFixed(0).padStart(8)} ${text}`);
  }

  post(label: string, owner: Owner | undefined, run: () => void, delayMs = 0): void {
    const happening = { label, owner, run };
    if (delayMs <= 0) this.#happenings.push(happening);
    else this.timer(delayMs, undefined, () => void this.#happenings.push(happening));
  }

  timer(delayMs: number, owner: Owner | undefined, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, owner, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** What the library gives to `setImmediate`. */
  immediate(callback: () => void): void {
    const resource = new AsyncResource("simulated setImmediate");
    this.#immediates.push(() => resource.runInAsyncScope(callback));
  }

  /** Until `done`, or until the virtual instant or the number of steps is reached. */
  async run(done: () => boolean, endsAt: number, mostSteps: number): Promise<boolean> {
    const lastStep = this.#steps + mostSteps;
    for (;;) {
      await this.#settle();
      if (done()) return true;
      if (this.#now > endsAt || this.#steps > lastStep) return false;
      this.#steps++;
      if (!this.#happen() && !this.#advance()) return false;
      while (this.crowd > 0 && this.#random.chance(this.crowd) && this.#happen()) this.#steps++;
    }
  }

  async #settle(): Promise<void> {
    for (let turns = 0; ; turns++) {
      await this.#macrotask();
      await this.rest?.();
      const due = this.#immediates;
      if (due.length === 0) return;
      if (turns > 20_000) throw new Violation("LIVELOCK", "the library never comes to rest");
      this.#immediates = [];
      for (const callback of due) {
        callback();
        // As in Node, no immediate runs before all microtasks of the one before it.
        await this.#macrotask();
        await this.rest?.();
      }
    }
  }

  async #macrotask(): Promise<void> {
    await new Promise<void>((resolve) => realImmediate(resolve));
    this.#turns++;
  }

  #happen(): boolean {
    this.#happenings = this.#happenings.filter(({ owner }) => owner?.isDead !== true);
    const ready = this.#happenings.filter(({ owner }) => owner?.isPaused !== true);
    if (ready.length === 0) return false;
    if (this.hurry > 0 && this.#random.chance(this.hurry)) return this.#advance();
    const next = this.#random.pick(ready);
    this.#happenings.splice(this.#happenings.indexOf(next), 1);
    this.note(next.label);
    next.run();
    return true;
  }

  #advance(): boolean {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.owner?.isDead === true) this.#timers.delete(timer);
      else if (timer.owner?.isPaused !== true && (first === undefined || isSooner(timer, first)))
        first = timer;
    }
    if (first === undefined) return false;
    this.#timers.delete(first);
    this.#now = Math.max(this.#now, first.at);
    first.callback();
    return true;
  }
}

function isSooner(a: Timer, b: Timer): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}
