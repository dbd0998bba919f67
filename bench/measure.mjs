// Small tools of the benchmark: statistics, waiting, pools, folders.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const TEXT = "x".repeat(100);
export const now = () => performance.now();
/**
 * Of the clock that all processes of the machine share, when now() is 0 in this one. Of many readings the one in which
 * nothing came between the two clocks.
 */
const origin = Math.max(
  ...Array.from({ length: 1_000 }, () => Number(process.hrtime.bigint()) / 1e6 - now()),
);
/** A time of now(), so that it can be compared with those of other processes. */
export const shared = (time) => origin + time;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const folder = () =>
  mkdtempSync(join(process.env.PAWL_BENCH_DIR ?? tmpdir(), "pawl-bench-"));

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * q;
  const low = sorted[Math.floor(position)];
  const high = sorted[Math.ceil(position)];
  return low + (high - low) * (position - Math.floor(position));
}

export const median = (values) => quantile(values, 0.5);

/** `work(i)` for i below `count`, `limit` at a time. */
export async function pool(count, limit, work) {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, lane));
}

/** CPU microseconds of this process since `before` (process.cpuUsage()). */
export function cpuSince(before) {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** Counts bodies that reached their end, and lets somebody wait for a number of them. */
export class Finishes {
  #count = 0;
  #target = 0;
  #resolve = () => {};

  add() {
    if (++this.#count >= this.#target) this.#resolve();
  }

  get count() {
    return this.#count;
  }

  next(count) {
    return this.until(this.#count + count);
  }

  /** Until so many have ended since the process began. */
  async until(target) {
    if (this.#count >= target) return;
    this.#target = target;
    await new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
}
