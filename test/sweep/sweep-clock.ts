import type { Clock } from "../../src/core/clock.js";
import { FakeClock } from "../../src/testing/fake-clock.js";

/** Timers beyond it only keep a process alive. */
const FAR_AWAY_MS = 7 * 86_400_000;

/** The fake clock of a stage. It knows when its next timer is due, and moves there when all is quiet. */
export class SweepClock implements Clock {
  readonly #clock = new FakeClock();
  readonly #dueTimes = new Set<{ readonly at: number }>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get elapsedMs(): number {
    return this.monotonic();
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  now(): number {
    return this.#clock.now();
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    this.#onChange();
    const due = { at: this.#clock.monotonic() + Math.ceil(delayMs) };
    this.#dueTimes.add(due);
    const disarm = this.#clock.setTimer(delayMs, () => {
      this.#dueTimes.delete(due);
      this.#onChange();
      callback();
    });
    return () => {
      this.#dueTimes.delete(due);
      disarm();
    };
  }

  /** Fires the next timer. False if there is none to wait for. */
  advance(): boolean {
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#dueTimes) next = Math.min(next, at);
    const waitMs = Math.max(1, Math.ceil(next - this.#clock.monotonic()));
    if (waitMs > FAR_AWAY_MS) return false;
    this.#clock.advance({ milliseconds: waitMs });
    return true;
  }

  /** The clock as one process has it: its timers die with it. */
  ofProcess(): { readonly clock: Clock; kill(): void } {
    const timers = new Set<() => void>();
    let isDead = false;
    return {
      clock: {
        now: () => this.#clock.now(),
        monotonic: () => this.#clock.monotonic(),
        setTimer: (delayMs, callback) => {
          if (isDead) return () => {};
          const disarm = this.setTimer(delayMs, () => {
            timers.delete(end);
            callback();
          });
          const end = () => {
            timers.delete(end);
            disarm();
          };
          timers.add(end);
          return end;
        },
      },
      kill: () => {
        isDead = true;
        for (const end of [...timers]) end();
      },
    };
  }
}
