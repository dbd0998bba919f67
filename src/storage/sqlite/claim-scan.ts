import type { ClaimRequest } from "../../core/storage.js";
import { NEVER } from "../../core/storage.js";
import type { Database } from "./database.js";
import { Slots } from "./slots.js";
import { firstNumber, RowReader } from "./text.js";

const suspectStalls = 2;

const selectRank = "select min(rank) from pawl_runs where due_at is not null and rank > ?";

const selectDue =
  "select rk, limit_keys, stalls from pawl_runs indexed by pawl_runs_claim " +
  "where rank = ? and due_at <= ? and job_id in (select value from json_each(?)) " +
  "and (limit_keys is null or limit_keys not in (select value from json_each(?))) and stalls < ? " +
  "order by due_at, rk limit ?";

const selectNext =
  "select due_at from pawl_runs indexed by pawl_runs_claim " +
  "where rank = ? and due_at > ? and due_at < ? and job_id in (select value from json_each(?)) order by due_at, rk limit 1";

/** Finds what a claim may take, in claim order; changes nothing. */
export class ClaimScan {
  readonly #database: Database;
  readonly #request: ClaimRequest;
  readonly #now: number;
  readonly #jobs: string;
  readonly #slots: Slots;
  readonly #saturated = new Set<string>();
  #suspects: number;
  #nextRelease = Number.POSITIVE_INFINITY;

  constructor(database: Database, request: ClaimRequest, now: number) {
    this.#database = database;
    this.#request = request;
    this.#now = now;
    this.#jobs = JSON.stringify(request.jobIds);
    this.#slots = new Slots(database, request.limits, now);
    this.#suspects = request.suspects;
  }

  /** At most `limit` due runs whose slots are free. */
  due(limit: number): number[] {
    const found: number[] = [];
    for (const rank of this.#ranks()) {
      this.#dueOfRank(rank, limit, found);
      if (found.length === limit) break;
    }
    return found;
  }

  /** These runs, as far as they are open, not leased, of a known job, and have a slot. */
  named(ids: readonly string[], limit: number): number[] {
    const found: number[] = [];
    for (const id of new Set(ids)) {
      const row = this.#database.get(
        "select rk, limit_keys, stalls from pawl_runs where id = ? and due_at is not null " +
          "and (lease_until is null or lease_until <= ?) and job_id in (select value from json_each(?))",
        [id, this.#now, this.#jobs],
      );
      if (row !== undefined && found.length < limit) this.#consider(new RowReader(row), found);
    }
    return found;
  }

  /** Earliest instant after now at which this caller may find more. */
  nextDue(): number | null {
    let next = Math.min(NEVER, this.#nextRelease);
    for (const rank of this.#ranks()) {
      const row = this.#database.get(selectNext, [rank, this.#now, next, this.#jobs]);
      next = Math.min(next, firstNumber(row) ?? next);
    }
    return next === NEVER ? null : next;
  }

  #ranks(): number[] {
    const ranks: number[] = [];
    let rank: number | undefined = Number.MIN_SAFE_INTEGER;
    for (;;) {
      rank = firstNumber(this.#database.get(selectRank, [rank]));
      if (rank === undefined) return ranks;
      ranks.push(rank);
    }
  }

  /**
   * What is passed over once is left out by the statement from then on, so a
   * backlog behind a saturated key costs a look at the index per run, not a row.
   */
  #dueOfRank(rank: number, limit: number, found: number[]): void {
    const seen = new Set<number>();
    for (;;) {
      const asked = limit - found.length + seen.size;
      const excluded = JSON.stringify([...this.#saturated]);
      const stalls = this.#suspects > 0 ? NEVER : suspectStalls;
      const values = [rank, this.#now, this.#jobs, excluded, stalls, asked];
      const rows = this.#database.all(selectDue, values);
      for (const row of rows) {
        const read = new RowReader(row);
        const rk = read.number();
        if (seen.has(rk) || found.length === limit) continue;
        if (this.#consider(new RowReader(row), found)) seen.add(rk);
      }
      if (found.length === limit || rows.length < asked) return;
    }
  }

  #consider(read: RowReader, found: number[]): boolean {
    const rk = read.number();
    const limitKeys = read.strings();
    const suspect = read.number() >= suspectStalls;
    if (suspect && this.#suspects === 0) return false;
    if (!this.#slots.isFree(limitKeys)) {
      this.#saturated.add(JSON.stringify(limitKeys));
      this.#nextRelease = Math.min(this.#nextRelease, this.#slots.nextRelease(limitKeys));
      return false;
    }
    this.#slots.take(limitKeys);
    if (suspect) this.#suspects--;
    found.push(rk);
    return true;
  }
}
