import { StorageError } from "../../core/errors.js";
import { finalStatuses, isFinal, type RunStatus } from "../../core/run-status.js";
import type {
  RunPage,
  RunQuery,
  RunRecord,
  TaskRecord,
  WaitingPage,
  WaitingTask,
} from "../../core/storage.js";
import type { Database } from "./database.js";
import type { Row, SqlValue } from "./driver.js";
import { recordColumns, recordOf } from "./run-row.js";
import { taskColumns, taskOf } from "./task-row.js";
import { firstNumber, RowReader } from "./text.js";

/** `displayStatus` of core/run-status.ts for a run that is not final; the parameter is now. */
const displayed =
  "case when blocked is null and due_at <= ?1 and (lease_until is null or lease_until <= ?1) then 'QUEUED' else status end";

const finals: readonly RunStatus[] = finalStatuses;

interface Condition {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

interface FoundRun {
  readonly rk: number;
  readonly run: RunRecord;
}

/** Row numbers rise with creation instants, so both give the same order, and every index ends in it. */
export class RunLister {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(query: RunQuery, now: number): RunPage {
    const before = query.cursor === undefined ? Number.MAX_SAFE_INTEGER : rowOfCursor(query.cursor);
    const conditions = this.#conditions(query, before);
    const found = sourcesOf(query, now)
      .flatMap((source) => this.#select(source, conditions, query.limit + 1))
      .sort((a, b) => b.rk - a.rk);
    const page = found.slice(0, query.limit);
    const last = page.at(-1);
    const runs = page.map(({ run }) => run);
    return found.length > query.limit && last !== undefined
      ? { runs, nextCursor: cursorOf(last.rk) }
      : { runs };
  }

  count(now: number): Partial<Record<RunStatus, number>> {
    const counts: Partial<Record<RunStatus, number>> = {};
    const rows = [
      ...this.#database.all(
        "select status, count(*) from pawl_runs indexed by pawl_runs_over where due_at is null and internal = 0 group by status",
      ),
      ...this.#database.all(
        `select ${displayed.replaceAll("?1", "?")} as shown, count(*) from pawl_runs where due_at is not null and internal = 0 group by shown`,
        [now, now],
      ),
    ];
    for (const row of rows) {
      const read = new RowReader(row);
      counts[read.string() as RunStatus] = read.number();
    }
    return counts;
  }

  waiting(topics: readonly string[], page: WaitingPage): WaitingTask[] {
    const { after, limit } = page;
    const columns = taskColumns.replace(/(\w+)/g, "t.$1");
    const found = new Map<string, WaitingTask>();
    for (const topic of new Set(topics)) {
      const rows = this.#database.all(
        `select r.id, r.job_id, r.created_at, ${columns} from pawl_topics w ` +
          "cross join pawl_runs r on r.rk = w.rk cross join pawl_tasks t on t.rk = w.rk and t.path = w.path " +
          "where w.topic = ? and (w.run_id, w.path) > (?, ?) and r.due_at is not null order by w.run_id, w.path limit ?",
        [topic, after?.runId ?? "", after?.path ?? "", limit],
      );
      for (const row of rows) {
        const waiting = waitingOf(row);
        found.set(JSON.stringify([waiting.runId, waiting.task.path]), waiting);
      }
    }
    return [...found.values()].sort(byRunAndPath).slice(0, limit);
  }

  #select(source: Condition, conditions: readonly Condition[], limit: number): FoundRun[] {
    const all = [source, ...conditions];
    const rows = this.#database.all(
      `select ${recordColumns} from pawl_runs where ${all.map(({ sql }) => sql).join(" and ")} order by rk desc limit ?`,
      [...all.flatMap(({ values }) => values), limit],
    );
    return rows.map((row) => ({ rk: firstNumber(row) ?? 0, run: recordOf(row) }));
  }

  #conditions(query: RunQuery, before: number): Condition[] {
    const { createdFrom, createdTo, tag, blocked } = query;
    const upTo = createdTo === undefined ? before : Math.min(before, this.#firstRowFrom(createdTo));
    const conditions: Condition[] = [{ sql: "rk < ?", values: [upTo] }];
    if (createdFrom !== undefined)
      conditions.push({ sql: "rk >= ?", values: [this.#firstRowFrom(createdFrom)] });
    if (tag !== undefined) {
      conditions.push({ sql: "rk in (select rk from pawl_tags where tag = ?)", values: [tag] });
    }
    if (blocked !== undefined)
      conditions.push({ sql: `blocked is ${blocked ? "not null" : "null"}`, values: [] });
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

/** Statuses in which runs lie under an index are asked for one by one, each newest first; the rest in one go. */
function sourcesOf(query: RunQuery, now: number): Condition[] {
  const { jobIds, eventId, parentId, internal } = query;
  const common: Condition[] = [];
  if (internal !== true) common.push({ sql: "internal = 0", values: [] });
  if (jobIds !== undefined) {
    common.push({
      sql: "job_id in (select value from json_each(?))",
      values: [JSON.stringify(jobIds)],
    });
  }
  if (eventId !== undefined) common.push({ sql: "event_id = ?", values: [eventId] });
  if (parentId !== undefined) common.push({ sql: "parent_id = ?", values: [parentId] });
  return statusSources(query.statuses, now).map((source) => {
    const all = [source, ...common];
    return {
      sql: all.map(({ sql }) => sql).join(" and "),
      values: all.flatMap(({ values }) => values),
    };
  });
}

function statusSources(statuses: readonly RunStatus[] | undefined, now: number): Condition[] {
  if (statuses === undefined) return [{ sql: "true", values: [] }];
  const asked = new Set(statuses);
  const sources: Condition[] = finals
    .filter((status) => asked.has(status))
    .map((status) => ({ sql: "due_at is null and status = ?", values: [status] }));
  const open = [...asked].filter((status) => !isFinal(status));
  if (open.length > 0) {
    const sql = `due_at is not null and ${displayed.replaceAll("?1", "?")} in (select value from json_each(?))`;
    sources.push({ sql, values: [now, now, JSON.stringify(open)] });
  }
  return sources;
}

function cursorOf(rk: number): string {
  return `r${rk.toString(36)}`;
}

function rowOfCursor(cursor: string): number {
  const rk = /^r[0-9a-z]{1,11}$/.test(cursor) ? Number.parseInt(cursor.slice(1), 36) : Number.NaN;
  if (Number.isSafeInteger(rk)) return rk;
  throw new StorageError("STORAGE_INVALID", "The cursor is not one that listRuns gave.");
}

function waitingOf(row: Row): WaitingTask {
  const read = new RowReader(row);
  const task: TaskRecord = taskOf(row, 3);
  return { runId: read.string(), jobId: read.string(), createdAt: read.number(), task };
}

function byRunAndPath(a: WaitingTask, b: WaitingTask): number {
  if (a.runId !== b.runId) return a.runId < b.runId ? -1 : 1;
  return a.task.path < b.task.path ? -1 : 1;
}
