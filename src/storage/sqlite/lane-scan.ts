import type { Database } from "./database.js";
import type { Row, SqlValue } from "./driver.js";
import { RowReader } from "./text.js";

/** A process may know a thousand jobs, few of which have open runs: a look at the lanes of each would cost it dear. */
const selectOpenJobs =
  "select job_id from temp.pawl_job_lists known where list = ? and exists " +
  "(select 1 from pawl_runs indexed by pawl_runs_lane where job_id = known.job_id and due_at is not null)";

/**
 * Lanes of a job are the combinations of limit keys that its open runs have,
 * found by leaps through the index. Answers those with a due run of the rank,
 * the longest due first.
 */
const selectLanes =
  "with recursive lane (keys) as (" +
  "select min(limit_keys) from pawl_runs indexed by pawl_runs_lane where job_id = ? and limit_keys is not null and due_at is not null " +
  "union all select (select min(limit_keys) from pawl_runs indexed by pawl_runs_lane " +
  "where job_id = ? and limit_keys > lane.keys and due_at is not null) from lane where lane.keys is not null), " +
  "every (keys) as (select null union all select keys from lane where keys is not null) " +
  "select keys, (select due_at from pawl_runs indexed by pawl_runs_lane " +
  "where job_id = ? and limit_keys is every.keys and rank = ? and due_at <= ? and stalls < ? order by due_at, rk limit 1) as head " +
  "from every where head is not null and (keys is null or keys not in (select value from json_each(?))) order by head limit ?";

const selectRuns =
  "select rk, limit_keys, stalls, due_at from pawl_runs indexed by pawl_runs_lane " +
  "where job_id = ? and limit_keys is ? and rank = ? and due_at <= ? and (due_at, rk) > (?, ?) and stalls < ? " +
  "order by due_at, rk limit ?";

const CHUNK = 16;

export interface LaneRequest {
  /** Number of the list of jobs. */
  readonly jobs: number;
  readonly rank: number;
  readonly now: number;
  readonly stallsBelow: number;
}

interface Place {
  readonly dueAt: number;
  readonly rk: number;
}

function isBefore(a: Place, b: Place): boolean {
  return a.dueAt === b.dueAt ? a.rk < b.rk : a.dueAt < b.dueAt;
}

/** Columns: rk, limit_keys, stalls, due_at. */
function placeOf(row: Row): Place {
  return { rk: new RowReader(row).number(), dueAt: new RowReader(row, 3).number() };
}

/** Due runs of one job with the same limit keys and rank, in order. */
class Lane {
  readonly keys: string | null;
  readonly #database: Database;
  readonly #range: readonly SqlValue[];
  readonly #stallsBelow: number;
  #rows: readonly Row[] = [];
  #next = 0;
  #last: Place = { dueAt: Number.MIN_SAFE_INTEGER, rk: 0 };
  #ended = false;

  constructor(database: Database, keys: string | null, jobId: string, request: LaneRequest) {
    this.#database = database;
    this.keys = keys;
    this.#range = [jobId, keys, request.rank, request.now];
    this.#stallsBelow = request.stallsBelow;
  }

  peek(): Row | undefined {
    if (this.#next === this.#rows.length && !this.#ended) this.#readOn();
    return this.#rows[this.#next];
  }

  skip(): void {
    this.#next++;
  }

  #readOn(): void {
    const { dueAt, rk } = this.#last;
    const values = [...this.#range, dueAt, rk, this.#stallsBelow, CHUNK];
    this.#rows = this.#database.all(selectRuns, values);
    this.#next = 0;
    this.#ended = this.#rows.length < CHUNK;
    const last = this.#rows.at(-1);
    if (last !== undefined) this.#last = placeOf(last);
  }
}

/**
 * Due runs of one rank by way of their lanes, so that a saturated lane is passed
 * over as a whole. To find the first n runs, the n lanes that are due the
 * longest are enough: each has at least one run that is due before all runs of
 * the other lanes.
 */
export class LaneScan {
  readonly #database: Database;
  readonly #request: LaneRequest;
  #jobIds: readonly string[] | undefined;
  #lanes: Lane[] = [];
  #mayBeMore = true;

  constructor(database: Database, request: LaneRequest) {
    this.#database = database;
    this.#request = request;
  }

  /** The next run of lanes that are not saturated, where `wanted` more are wanted. */
  next(saturated: ReadonlySet<string>, wanted: number): Row | undefined {
    this.#lanes = this.#lanes.filter(({ keys }) => keys === null || !saturated.has(keys));
    if (this.#lanes.length < wanted && this.#mayBeMore) this.#open(saturated, wanted);
    let best: { readonly lane: Lane; readonly row: Row; readonly place: Place } | undefined;
    for (const lane of this.#lanes) {
      const row = lane.peek();
      if (row === undefined) continue;
      const place = placeOf(row);
      if (best === undefined || isBefore(place, best.place)) best = { lane, row, place };
    }
    best?.lane.skip();
    return best?.row;
  }

  /** Lanes that were open before keep their place. */
  #open(saturated: ReadonlySet<string>, wanted: number): void {
    const { rank, now, stallsBelow } = this.#request;
    const excluded = JSON.stringify([...saturated]);
    const before = new Map(this.#lanes.map((lane) => [lane.keys, lane]));
    const most = wanted + this.#lanes.length;
    this.#mayBeMore = false;
    this.#jobIds ??= this.#openJobs();
    for (const jobId of this.#jobIds) {
      const values = [jobId, jobId, jobId, rank, now, stallsBelow, excluded, most];
      const rows = this.#database.all(selectLanes, values);
      if (rows.length === most) this.#mayBeMore = true;
      for (const row of rows) {
        const keys = new RowReader(row).stringOrNull();
        if (!before.has(keys))
          this.#lanes.push(new Lane(this.#database, keys, jobId, this.#request));
      }
    }
  }

  #openJobs(): string[] {
    const { jobs } = this.#request;
    return this.#database.all(selectOpenJobs, [jobs]).map((row) => new RowReader(row).string());
  }
}
