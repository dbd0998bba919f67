import type { TaskRecord, TaskStatus, TaskWrite } from "../../core/storage.js";
import type { Row, SqlValue } from "./driver.js";
import { numberAt, packStrings, packText, stringAt, textAt } from "./text.js";
import type { RunGuardRow } from "./transaction.js";

const columns = [
  "path",
  "seq",
  "kind",
  "status",
  "attempts",
  "output",
  "error",
  "started_at",
  "finished_at",
  "wake_at",
  "topics",
  "filter",
  "data",
] as const;

/**
 * One JSON text for a record, in the order in which `taskOf` reads it. Drivers
 * fetch each value of a row by itself, which costs several times what building
 * and parsing that text does.
 */
export function taskJson(table: string): string {
  return `json_array(${columns.map((name) => `${table}.${name}`).join(", ")})`;
}

/** In characters, for all values of a record that users fill. */
const LARGEST_IN_PAGE = 65_536;
const large = ["output", "error", "topics", "filter", "data"]
  .map((name) => `coalesce(length(${name}), 0)`)
  .join(" + ");

/**
 * One JSON text for many records. Of a large one it holds the seq alone, and it is to be read by itself: many of
 * them would exceed the longest string of the process, which ends it in libsql.
 */
export const selectTaskPage =
  `select json_group_array(case when ${large} > ${LARGEST_IN_PAGE} then seq else ${taskJson("page")} end) from ` +
  `(select ${columns.join(", ")} from pawl_tasks where rk = ? and seq > ? order by seq limit ?) page`;

export const selectTask = `select ${taskJson("pawl_tasks")} from pawl_tasks where rk = ? and seq = ?`;

/** Positions instead of a reader: of this there is one for each task that a resumed run has recorded. */
export function taskOf(row: Row): TaskRecord {
  const topics = textAt(row, 10);
  const task = {
    path: stringAt(row, 0),
    seq: numberAt(row, 1),
    kind: stringAt(row, 2),
    status: stringAt(row, 3) as TaskStatus,
    attempts: numberAt(row, 4),
    output: textAt(row, 5),
    error: textAt(row, 6),
    startedAt: numberAt(row, 7),
    finishedAt: row[8] === null ? null : numberAt(row, 8),
    wakeAt: row[9] === null ? null : numberAt(row, 9),
    data: textAt(row, 12),
  };
  if (topics === null) return task;
  return { ...task, topics: JSON.parse(topics) as string[], filter: textAt(row, 11) };
}

/** About what the record takes in memory and on its way; for budgets. */
export function taskBytes(task: TaskRecord): number {
  const { output, error, data, path } = task;
  return 100 + path.length + (output?.length ?? 0) + (error?.length ?? 0) + (data?.length ?? 0);
}

export const insertTask =
  "insert or ignore into pawl_tasks (rk, seq, path, kind, status, attempts, output, started_at, finished_at, write_id, " +
  "data, error, wake_at, topics, filter) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/** What most tasks need: each value less that is bound makes the hot path a little faster. */
export const insertPlainTask =
  "insert or ignore into pawl_tasks (rk, seq, path, kind, status, attempts, output, started_at, finished_at, write_id, " +
  "data) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/**
 * Commits by itself, for a held run that is still as it was last seen. Its lease need not be compared: who
 * else changes that raises the epoch. Each value that is compared costs a tenth of what the statement does.
 */
export const insertLoneTask =
  "insert or ignore into pawl_tasks (rk, seq, path, kind, status, attempts, output, started_at, finished_at, write_id, " +
  "data) select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? from pawl_runs " +
  "where rk = ?1 and id = ? and epoch = ? and inbox = ? and status = 'EXECUTING'";

export const replaceTask =
  "update or ignore pawl_tasks set rk = ?, seq = ?, path = ?, kind = ?, status = ?, attempts = ?, output = ?, started_at = ?, " +
  "finished_at = ?, write_id = ?, data = ?, error = ?, wake_at = ?, topics = ?, filter = ? " +
  "where rk = ? and seq = ? and path = ? and status <> 'COMPLETED'";

export function isPlain(task: TaskWrite): boolean {
  return task.error === null && task.wakeAt === null && task.topics === undefined && !task.filter;
}

export function plainTaskValues(rk: number, task: TaskWrite, writeId: string): SqlValue[] {
  return [
    rk,
    task.seq,
    task.path,
    task.kind,
    task.status,
    task.attempts,
    task.output === null ? null : packText(task.output),
    task.startedAt,
    task.finishedAt,
    writeId,
    task.data === null ? null : packText(task.data),
  ];
}

/** For {@link insertLoneTask}. */
export function loneTaskValues(
  { rk, epoch, inbox }: Pick<RunGuardRow, "rk" | "epoch" | "inbox">,
  runId: string,
  task: TaskWrite,
  writeId: string,
): SqlValue[] {
  return [
    rk,
    task.seq,
    task.path,
    task.kind,
    task.status,
    task.attempts,
    task.output === null ? null : packText(task.output),
    task.startedAt,
    task.finishedAt,
    writeId,
    task.data === null ? null : packText(task.data),
    runId,
    epoch,
    inbox,
  ];
}

export function taskValues(rk: number, task: TaskWrite, writeId: string): SqlValue[] {
  const values = plainTaskValues(rk, task, writeId);
  values.push(
    task.error === null ? null : packText(task.error),
    task.wakeAt,
    packStrings(task.topics),
    task.filter === undefined || task.filter === null ? null : packText(task.filter),
  );
  return values;
}
