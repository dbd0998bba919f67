import type { Clock } from "../core/clock.js";

/** The clock as one process has it: when the process is killed, its timers are gone. */
export class ProcessClock implements Clock {
  readonly #clock: Clock;
  readonly #disarms = new Set<() => void>();
  #killed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    if (this.#killed) return () => {};
    const disarmTimer = this.#clock.setTimer(delayMs, () => {
      this.#disarms.delete(disarm);
      callback();
    });
    const disarm = () => {
      this.#disarms.delete(disarm);
      disarmTimer();
    };
    this.#disarms.add(disarm);
    return disarm;
  }

  kill(): void {
    this.#killed = true;
    for (const disarm of this.#disarms) disarm();
  }
}
