import { slotsOf } from "../../core/claim-plan.js";
import { Heap } from "./heap.js";
import type { RunRow, Timer } from "./run-row.js";

export function timerBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at;
}

/** Counts, per limit key, the runs with a live lease (S7). */
export class Slots {
  readonly #leases = new Heap<Timer>(timerBefore);
  readonly #used = new Map<string, number>();

  take(row: RunRow): void {
    const { limitKeys, leaseUntil } = row.run;
    if (limitKeys.length === 0 || leaseUntil === null) return;
    row.slot = { heapIndex: -1, at: leaseUntil, row };
    this.#leases.push(row.slot);
    for (const key of limitKeys) this.#used.set(key, (this.#used.get(key) ?? 0) + 1);
  }

  /** Answers whether there was anything to free. */
  free(row: RunRow): boolean {
    if (row.slot === null) return false;
    this.#leases.remove(row.slot);
    row.slot = null;
    for (const key of row.run.limitKeys) {
      const used = (this.#used.get(key) ?? 0) - 1;
      if (used > 0) this.#used.set(key, used);
      else this.#used.delete(key);
    }
    return true;
  }

  /** Frees the slots of leases that have run out. */
  expire(now: number): void {
    let first = this.#leases.peek();
    while (first !== undefined && first.at <= now) {
      this.free(first.row);
      first = this.#leases.peek();
    }
  }

  /** When the first slot is free for certain, if its holder dies. */
  nextExpiry(): number | null {
    return this.#leases.peek()?.at ?? null;
  }

  areFree(limitKeys: readonly string[], limits: Readonly<Record<string, number>>): boolean {
    return limitKeys.every((key) => (this.#used.get(key) ?? 0) < slotsOf(key, limits));
  }
}
