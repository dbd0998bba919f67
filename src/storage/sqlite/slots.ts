import { slotsOf } from "../../core/claim-plan.js";
import type { Database } from "./database.js";
import { RowReader } from "./text.js";

/**
 * Free slots of limit keys (contract S7). Counted under the write lock, from
 * the runs that hold a lease: there are never more of these than can execute
 * at once.
 */
export class Slots {
  readonly #limits: Readonly<Record<string, number>>;
  readonly #held = new Map<string, number>();
  readonly #leases: { readonly until: number; readonly keys: readonly string[] }[] = [];

  constructor(database: Database, limits: Readonly<Record<string, number>>, now: number) {
    this.#limits = limits;
    if (Object.keys(limits).length === 0) return;
    const rows = database.all(
      "select lease_until, limit_keys from pawl_runs where lease_until > ? and limit_keys is not null",
      [now],
    );
    for (const row of rows) {
      const read = new RowReader(row);
      const until = read.number();
      const keys = read.strings();
      this.#leases.push({ until, keys });
      this.take(keys);
    }
  }

  isFree(keys: readonly string[]): boolean {
    return keys.every((key) => !this.#isSaturated(key));
  }

  take(keys: readonly string[]): void {
    for (const key of keys) this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
  }

  /** When the first lease on a saturated one of these keys runs out, if its holder dies. */
  nextRelease(keys: readonly string[]): number {
    const saturated = keys.filter((key) => this.#isSaturated(key));
    const blocking = this.#leases.filter((lease) =>
      lease.keys.some((key) => saturated.includes(key)),
    );
    return Math.min(Number.POSITIVE_INFINITY, ...blocking.map(({ until }) => until));
  }

  /** Combinations of keys that are known to have no slot, and until when at most. */
  saturated(): { readonly keys: readonly string[]; readonly until: number }[] {
    return this.#leases
      .flatMap(({ keys, until }) =>
        [keys, ...keys.map((key) => [key])].map((each) => ({ keys: each, until })),
      )
      .filter(({ keys }) => !this.isFree(keys));
  }

  #isSaturated(key: string): boolean {
    return (this.#held.get(key) ?? 0) >= slotsOf(key, this.#limits);
  }
}
