import { isSuspect, SUSPECT_STALLS } from "../../core/claim-order.js";
import type { ClaimRequest } from "../../core/storage.js";
import { NEVER } from "../../core/storage.js";
import type { Database } from "./database.js";
import type { JobLists } from "./job-lists.js";
import { LaneScan } from "./lane-scan.js";
import { ranksFrom } from "./rank.js";
import { Slots } from "./slots.js";
import { firstNumber, numberOf, RowReader } from "./text.js";

/** So many runs that it may not take a claim looks at one by one, then it goes another way. */
const PATIENCE = 256;

/** By the key of the list: `job_id in (select …)` would unpack it all for each statement. */
const isKnown =
  "exists (select 1 from temp.pawl_job_lists known where known.list = ? and known.job_id = due.job_id)";

/** No sort at the end: rows come in the order of the inner query, and the scan ends with the last one wanted. */
const selectDue =
  "select rk, limit_keys, stalls from (select rk, due_at, job_id, limit_keys, stalls from pawl_runs indexed by pawl_runs_claim " +
  "where rank = ? and due_at <= ? order by due_at, rk limit ?) due " +
  `where ${isKnown} ` +
  "and (limit_keys is null or limit_keys not in (select value from json_each(?))) and stalls < ? limit ?";

const selectBeyond =
  "select 1 from pawl_runs indexed by pawl_runs_claim " +
  "where rank = ? and due_at <= ? order by due_at, rk limit 1 offset ?";

const selectNext =
  "select due_at from (select rk, due_at, job_id from pawl_runs indexed by pawl_runs_claim " +
  `where rank = ? and due_at > ? and due_at < ? order by due_at, rk limit ${PATIENCE}) due ` +
  `where ${isKnown} limit 1`;

const selectBeyondNext =
  "select due_at from pawl_runs indexed by pawl_runs_claim " +
  `where rank = ? and due_at > ? and due_at < ? order by due_at, rk limit 1 offset ${PATIENCE - 1}`;

const selectNamed =
  "select rk, limit_keys, stalls from pawl_runs due where id = ? and due_at is not null " +
  `and (lease_until is null or lease_until <= ?) and ${isKnown}`;

/** What a claim may take, by row number in claim order. Changes nothing. */
export class ClaimScan {
  readonly #database: Database;
  readonly #now: number;
  /** Number of the list of jobs. */
  readonly #jobs: number;
  readonly #slots: Slots;
  /** Limit keys of runs that were passed over, as their column has them. */
  readonly #saturated = new Set<string>();
  #suspects: number;
  #nextRelease = NEVER;

  constructor(database: Database, lists: JobLists, request: ClaimRequest, now: number) {
    this.#database = database;
    this.#now = now;
    this.#jobs = lists.numberOf(request.jobIds);
    this.#slots = new Slots(database, request.limits, now);
    this.#suspects = request.suspects;
  }

  /** At most `limit` due runs whose slots are free. */
  due(limit: number): number[] {
    const found: number[] = [];
    if (limit === 0) return found;
    for (const rank of ranksFrom(this.#database, Number.MIN_SAFE_INTEGER + 1)) {
      this.#dueOfRank(rank, limit, found);
      if (found.length === limit) break;
    }
    return found;
  }

  /** These runs, as far as they are open, not leased, of a known job, and have a slot. */
  named(ids: readonly string[], limit: number): number[] {
    const found: number[] = [];
    for (const id of new Set(ids)) {
      if (found.length >= limit) break;
      const row = this.#database.get(selectNamed, [id, this.#now, this.#jobs]);
      if (row !== undefined) this.#consider(new RowReader(row), found);
    }
    return found;
  }

  /**
   * Earliest instant after now at which this caller may find more. Behind very
   * many runs of others it is an earlier one, at which the caller looks again.
   */
  nextDue(): number | null {
    let next = this.#nextRelease;
    for (const rank of ranksFrom(this.#database, Number.MIN_SAFE_INTEGER + 1)) {
      const range = [rank, this.#now, next];
      const row =
        this.#database.get(selectNext, [...range, this.#jobs]) ??
        this.#database.get(selectBeyondNext, range);
      next = firstNumber(row) ?? next;
    }
    return next === NEVER ? null : next;
  }

  /** What was passed over once is left out by the statement from then on. */
  #dueOfRank(rank: number, limit: number, found: number[]): void {
    const seen = new Set<number>();
    let looked = 0;
    for (;;) {
      const asked = limit - found.length + seen.size;
      looked = asked + PATIENCE;
      const excluded = JSON.stringify([...this.#saturated]);
      const filter = [this.#jobs, excluded, this.#stallsBelow()];
      const rows = this.#database.all(selectDue, [rank, this.#now, looked, ...filter, asked]);
      for (const row of rows) {
        const rk = numberOf(row);
        if (seen.has(rk) || found.length === limit) continue;
        if (this.#consider(new RowReader(row), found)) seen.add(rk);
      }
      if (found.length === limit) return;
      if (rows.length < asked) break;
    }
    const beyond = this.#database.get(selectBeyond, [rank, this.#now, looked]);
    if (beyond !== undefined) this.#dueByLane(rank, limit, found, seen);
  }

  /** Behind a backlog of other jobs or saturated keys: a look at each lane costs less than one at each run. */
  #dueByLane(rank: number, limit: number, found: number[], seen: ReadonlySet<number>): void {
    for (const { keys, until } of this.#slots.saturated()) {
      this.#saturated.add(JSON.stringify(keys));
      this.#nextRelease = Math.min(this.#nextRelease, until);
    }
    const jobs = this.#jobs;
    const stallsBelow = this.#stallsBelow();
    const lanes = new LaneScan(this.#database, { jobs, rank, now: this.#now, stallsBelow });
    while (found.length < limit) {
      const row = lanes.next(this.#saturated, limit - found.length + seen.size);
      if (row === undefined) return;
      if (!seen.has(numberOf(row))) this.#consider(new RowReader(row), found);
    }
  }

  #stallsBelow(): number {
    return this.#suspects > 0 ? NEVER : SUSPECT_STALLS;
  }

  /** Columns: rk, limit_keys, stalls. */
  #consider(read: RowReader, found: number[]): boolean {
    const rk = read.number();
    const limitKeys = read.strings();
    const suspect = isSuspect({ stalls: read.number() });
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
