import { StorageError } from "../../core/errors.js";
import { finalStatuses, isFinal, type RunStatus } from "../../core/run-status.js";
import type { RunPage, RunQuery, RunRecord } from "../../core/storage.js";
import type { Database } from "./database.js";
import type { SqlValue } from "./driver.js";
import { recordJson, recordOf } from "./run-row.js";
import { firstNumber, RowReader } from "./text.js";

/** `displayStatus` of core/run-status.ts for a run that is not final; both parameters are now. */
const displayed =
  "case when blocked is null and due_at <= ? and (lease_until is null or lease_until <= ?) then 'QUEUED' else status end";

const finals: readonly RunStatus[] = finalStatuses;

/** More jobs than this are filtered out of all runs. */
const MOST_JOB_SOURCES = 16;

/** Among so many of the newest runs the rows themselves are looked through first. */
const NEARBY = 2_000;

interface Condition {
  readonly sql: string;
  readonly values: readonly SqlValue[];
  /** The same for a few rows. Without it `sql` is good for few and many. */
  readonly nearby?: string;
}

interface FoundRun {
  readonly rk: number;
  readonly run: RunRecord;
}

/**
 * Row numbers rise with creation instants, so they give the order, and every
 * index ends in it. A query is split into sources that each come in that order
 * from an index, and these are merged.
 */
export class RunLister {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(query: RunQuery, now: number): RunPage {
    const before = query.cursor === undefined ? Number.MAX_SAFE_INTEGER : rowOfCursor(query.cursor);
    const common = this.#commonConditions(query, before);
    const found = sourcesOf(query, now)
      .flatMap((source) => this.#find([...source, ...common], before, query.limit + 1))
      .sort((a, b) => b.rk - a.rk);
    const page = found.slice(0, query.limit);
    const last = page.at(-1);
    const runs = page.map(({ run }) => run);
    return found.length > query.limit && last !== undefined
      ? { runs, nextCursor: cursorOf(last.rk) }
      : { runs };
  }

  /** What is common is found among the newest runs, what is rare by gathering all that there is of it. */
  #find(conditions: readonly Condition[], before: number, limit: number): FoundRun[] {
    if (conditions.every(({ nearby }) => nearby === undefined))
      return this.#select(conditions, limit);
    const from = this.#database.get(
      "select rk from pawl_runs where rk < ? order by rk desc limit 1 offset ?",
      [before, NEARBY],
    );
    const few = conditions.map(({ sql, nearby, values }) => ({ sql: nearby ?? sql, values }));
    const near = { sql: "rk >= ?", values: [firstNumber(from) ?? 0] };
    const found = this.#select([...few, near], limit);
    return from === undefined || found.length === limit ? found : this.#select(conditions, limit);
  }

  #select(conditions: readonly Condition[], limit: number): FoundRun[] {
    const where = conditions.map(({ sql }) => sql).join(" and ");
    const values = conditions.flatMap((condition) => condition.values);
    const rows = this.#database.all(
      `select rk, ${recordJson} from pawl_runs where ${where} order by rk desc limit ?`,
      [...values, limit],
    );
    return rows.map((row) => {
      const read = new RowReader(row);
      return { rk: read.number(), run: recordOf(read.string()) };
    });
  }

  #commonConditions(query: RunQuery, before: number): Condition[] {
    const { createdFrom, createdTo, tag, blocked, eventId, parentId } = query;
    const upTo = createdTo === undefined ? before : Math.min(before, this.#firstRowFrom(createdTo));
    const conditions: Condition[] = [{ sql: "rk < ?", values: [upTo] }];
    const add = (sql: string, ...values: SqlValue[]): void => void conditions.push({ sql, values });
    if (createdFrom !== undefined) add("rk >= ?", this.#firstRowFrom(createdFrom));
    if (query.internal !== true) add("internal = 0");
    if (eventId !== undefined) add("event_id = ?", eventId);
    if (parentId !== undefined) add("parent_id = ?", parentId);
    if (tag !== undefined) conditions.push(hasTag(tag));
    if (blocked === false) add("blocked is null");
    if (blocked === true) {
      add(
        "rk in (select rk from pawl_runs indexed by pawl_runs_blocked where blocked is not null)",
      );
    }
    return conditions;
  }

  /** Creation instants rise with row numbers: the first row from an instant on is found by halving. */
  #firstRowFrom(instant: number): number {
    let low = 1;
    let high = (firstNumber(this.#database.get("select max(rk) from pawl_runs")) ?? 0) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = this.#database.get(
        "select rk, created_at from pawl_runs where rk >= ? order by rk limit 1",
        [middle],
      );
      const read = row === undefined ? undefined : new RowReader(row);
      const rk = read?.number() ?? high;
      if (read === undefined || read.number() >= instant) high = middle;
      else low = rk + 1;
    }
    return low;
  }
}

/** Each status with each job, as far as an index has them apart. */
function sourcesOf(
  { statuses, jobIds, eventId, parentId, tag }: RunQuery,
  now: number,
): Condition[][] {
  const sources = statusSources(statuses, now);
  if (jobIds === undefined) return sources;
  const jobs = [...new Set(jobIds)];
  const elsewhere = [eventId, parentId, tag].some((value) => value !== undefined);
  if (elsewhere || jobs.length > MOST_JOB_SOURCES) {
    const condition = {
      sql: "+job_id in (select value from json_each(?))",
      values: [JSON.stringify(jobs)],
    };
    return sources.map((source) => [...source, condition]);
  }
  return sources.flatMap((source) =>
    jobs.map((job) => [...source, { sql: "job_id = ?", values: [job] }]),
  );
}

/**
 * Runs that have ended lie under an index by status, each status in order. Of
 * open ones there are few: their row numbers are gathered and sorted.
 */
function statusSources(statuses: readonly RunStatus[] | undefined, now: number): Condition[][] {
  if (statuses === undefined) return [[]];
  const asked = new Set(statuses);
  const over = finals.filter((status) => asked.has(status));
  const sources: Condition[][] = over.map((status) => [
    { sql: "due_at is null and status = ?", values: [status] },
  ]);
  const open = [...asked].filter((status) => !isFinal(status));
  if (open.length === 0) return sources;
  const gathered =
    "rk in (select rk from pawl_runs indexed by pawl_runs_claim where due_at is not null)";
  const shown = `${displayed} in (select value from json_each(?))`;
  const nearby = `due_at is not null and ${shown}`;
  const values = [now, now, JSON.stringify(open)];
  sources.push([{ sql: `${gathered} and ${shown}`, values, nearby }]);
  return sources;
}

function hasTag(tag: string): Condition {
  const nearby = "exists (select 1 from pawl_tags g where g.tag = ? and g.rk = pawl_runs.rk)";
  return { sql: "rk in (select rk from pawl_tags where tag = ?)", values: [tag], nearby };
}

function cursorOf(rk: number): string {
  return `r${rk.toString(36)}`;
}

function rowOfCursor(cursor: string): number {
  const rk = /^r[0-9a-z]{1,11}$/.test(cursor) ? Number.parseInt(cursor.slice(1), 36) : Number.NaN;
  if (Number.isSafeInteger(rk)) return rk;
  throw new StorageError("STORAGE_INVALID", "The cursor is not one that listRuns gave.");
}
