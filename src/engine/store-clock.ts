import type { Clock } from "../core/clock.js";

/**
 * The engine's estimate of the store's time: the latest instant the store
 * answered plus the monotonic time since then. It is a lower bound (the answer
 * took time to arrive), so nothing fires before it is due in the store.
 */
export class StoreClock {
  readonly #clock: Clock;
  #instant = Number.NEGATIVE_INFINITY;
  #readAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Call with an instant as soon as the store has answered it. */
  observe(instant: number): void {
    if (instant < this.now()) return;
    // Whole milliseconds: ids and stored instants are made of it, and an injected clock may have parts.
    this.#instant = Math.floor(instant);
    this.#readAt = this.#clock.monotonic();
  }

  get isKnown(): boolean {
    return this.#instant !== Number.NEGATIVE_INFINITY;
  }

  now(): number {
    return this.#instant + Math.floor(this.#clock.monotonic() - this.#readAt);
  }
}
