import type { Clock } from "../core/clock.js";

/** Time that passes when a test says so. It has no timers: a storage needs none. */
export class ManualClock implements Clock {
  #now = 1_700_000_000_000;
  #monotonic = 0;

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimer(): () => void {
    throw new Error("A storage has no timers of its own.");
  }

  advance(ms: number): void {
    this.#now += ms;
    this.#monotonic += ms;
  }

  /** Somebody sets the wall clock; no time passes. */
  setWallTime(now: number): void {
    this.#now = now;
  }
}
