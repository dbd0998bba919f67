import type { Clock } from "../core/clock.js";

/** setTimeout fires at once for delays beyond 2^31 - 1 ms (24.8 days): longer ones go in steps. */
const LONGEST_TIMEOUT = 2_000_000_000;

/** The only place of the engine that reads real time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(delayMs, callback) {
    const dueAt = performance.now() + delayMs;
    let handle: ReturnType<typeof setTimeout>;
    const arm = () => {
      const left = dueAt - performance.now();
      handle =
        left > LONGEST_TIMEOUT
          ? setTimeout(arm, LONGEST_TIMEOUT)
          : setTimeout(callback, Math.max(0, Math.ceil(left)));
    };
    arm();
    return () => clearTimeout(handle);
  },
};
