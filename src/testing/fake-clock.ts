import type { Clock } from "../core/clock.js";
import { type Duration, durationMs, instantOf } from "../core/duration.js";
import { ConfigError } from "../core/errors.js";
import { describe } from "../core/options.js";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/**
 * Time that only moves when a test says so: a year passes as fast as a second.
 *
 * Give it to `createClient({ clock })` and move it by hand, or let
 * {@link TestWorld} move it and its clients together.
 *
 * @example
 * const clock = fakeClock(new Date("2026-01-01"));
 * const client = createClient({ storage: memory(), clock, jobs: [reminder] });
 * await client.invoke(reminder, {});
 * await client.drain();
 * clock.advance("1d");
 * await client.drain();
 */
export class FakeClock implements Clock {
  #now: number;
  #monotonic = 0;
  readonly #timers = new Set<Timer>();

  constructor(start: Date | number = Date.UTC(2026, 0, 1)) {
    const instant = typeof start === "number" ? start : instantOf(start);
    if (instant === undefined || !Number.isFinite(instant))
      throw new ConfigError(
        "OPTION_INVALID",
        `A fake clock starts at a valid Date or at epoch milliseconds, got ${describe(start)}.`,
      );
    this.#now = instant;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    // Whole milliseconds, as the system clock has them: a jittered pause must not make time fractional.
    const timer = { at: this.#monotonic + Math.ceil(delayMs), callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves time on, years if need be, and fires what becomes due on the way, in order. */
  advance(duration: Duration): void {
    const end = this.#monotonic + durationMs(duration, "advance");
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#moveTo(next.at);
      next.callback();
    }
    this.#moveTo(end);
  }

  /** Milliseconds until the next timer fires; undefined while none is set. */
  get untilNextTimerMs(): number | undefined {
    const next = this.#next(Number.POSITIVE_INFINITY);
    return next === undefined ? undefined : Math.max(0, next.at - this.#monotonic);
  }

  /** A step of the wall clock alone, as NTP or a person makes it; monotonic time and timers do not notice. */
  jump(duration: Duration | { readonly backMs: number }): void {
    this.#now +=
      typeof duration === "object" && "backMs" in duration
        ? -duration.backMs
        : durationMs(duration, "jump");
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= end && (first === undefined || timer.at < first.at)) first = timer;
    }
    return first;
  }

  #moveTo(monotonic: number): void {
    const step = Math.max(0, monotonic - this.#monotonic);
    this.#monotonic += step;
    this.#now += step;
  }
}

/** A {@link FakeClock}. It starts at `start`, by default at 2026-01-01T00:00:00Z. */
export function fakeClock(start?: Date | number): FakeClock {
  return new FakeClock(start);
}
