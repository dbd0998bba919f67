import type { Database } from "./database.js";
import type { Row, SqlValue } from "./driver.js";
import { RowReader } from "./text.js";

/** The lanes of a job: all combinations of limit keys that its open runs have, found by leaps through the index. */
const selectLanes =
  "with recursive lane (keys) as (" +
  "select min(limit_keys) from pawl_runs indexed by pawl_runs_lane where job_id = ? and limit_keys is not null and due_at is not null " +
  "union all select (select min(limit_keys) from pawl_runs indexed by pawl_runs_lane " +
  "where job_id = ? and limit_keys > lane.keys and due_at is not null) from lane where lane.keys is not null) " +
  "select keys from lane where keys is not null";

const selectRuns =
  "select rk, limit_keys, stalls, due_at from pawl_runs indexed by pawl_runs_lane " +
  "where job_id = ? and limit_keys is ? and rank = ? and due_at <= ? and (due_at, rk) > (?, ?) and stalls < ? " +
  "order by due_at, rk limit ?";

const CHUNK = 16;

/** Due runs of one job with the same limit keys and rank, in order. */
class Lane {
  readonly keys: string | null;
  readonly #database: Database;
  readonly #range: readonly SqlValue[];
  #rows: Row[] = [];
  #next = 0;
  #last: { readonly dueAt: number; readonly rk: number } = { dueAt: Number.MIN_SAFE_INTEGER, rk: 0 };
  #ended = false;

  constructor(database: Database, keys: string | null, range: readonly SqlValue[]) {
    this.#database = database;
    this.keys = keys;
    this.#range = range;
  }

  peek(stallsBelow: number): Row | undefined {
    if (this.#next < this.#rows.length) return this.#rows[this.#next];
    if (this.#ended) return undefined;
    const { dueAt, rk } = this.#last;
    this.#rows = this.#database.all(selectRuns, [...this.#range, dueAt, rk, stallsBelow, CHUNK]);
    this.#next = 0;
    this.#ended = this.#rows.length < CHUNK;
    const last = this.#rows.at(-1);
    if (last !== undefined) this.#last = placeOf(last);
    return this.#rows[0];
  }

  skip(): void {
    this.#next++;
  }
}

function placeOf(row: Row): { dueAt: number; rk: number } {
  const rk = new RowReader(row).number();
  return { rk, dueAt: new RowReader(row, 3).number() };
}

/** Due runs of one rank by way of their lanes, so that whole lanes can be passed over. */
export class LaneScan {
  #lanes: Lane[];

  constructor(database: Database, jobIds: readonly string[], rank: number, now: number) {
    this.#lanes = jobIds.flatMap((jobId) => {
      const keys = database.all(selectLanes, [jobId, jobId]).map((row) => new RowReader(row).string());
      return [null, ...keys].map((limitKeys) => new Lane(database, limitKeys, [jobId, limitKeys, rank, now]));
    });
  }

  /** The next run in claim order, of lanes that are not saturated. */
  next(saturated: ReadonlySet<string>, stallsBelow: number): Row | undefined {
    this.#lanes = this.#lanes.filter((lane) => {
      return (lane.keys === null || !saturated.has(lane.keys)) && lane.peek(stallsBelow) !== undefined;
    });
    let first: Lane | undefined;
    let best: { dueAt: number; rk: number } | undefined;
    for (const lane of this.#lanes) {
      const row = lane.peek(stallsBelow);
      const place = row === undefined ? undefined : placeOf(row);
      const sooner =
        place !== undefined &&
        (best === undefined || place.dueAt < best.dueAt || (place.dueAt === best.dueAt && place.rk < best.rk));
      if (!sooner) continue;
      first = lane;
      best = place;
    }
    const row = first?.peek(stallsBelow);
    first?.skip();
    return row;
  }
}
