/**
 * Everything the engine knows about time. Injected, so that tests own it.
 *
 * `now` is wall time in epoch milliseconds and may jump; `monotonic` is a
 * millisecond counter that never goes back and has no meaning outside this
 * process.
 */
export interface Clock {
  now(): number;
  monotonic(): number;
  /**
   * Calls `callback` once after `delayMs` (any non-negative number, years
   * included) and returns a function that disarms it.
   */
  setTimer(delayMs: number, callback: () => void): () => void;
}
