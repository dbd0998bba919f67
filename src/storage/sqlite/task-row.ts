import type { TaskRecord, TaskStatus, TaskWrite } from "../../core/storage.js";
import type { Row, SqlValue } from "./driver.js";
import { packStrings, packText, RowReader } from "./text.js";

/**
 * In the order in which `taskOf` reads them. Each value costs as much to fetch
 * as a small row, so what most records lack comes as one, and only if it is
 * there.
 */
export function taskColumns(table: string): string {
  const plain = [
    "path",
    "seq",
    "kind",
    "status",
    "attempts",
    "output",
    "started_at",
    "finished_at",
  ];
  const [error, wakeAt, topics, filter] = ["error", "wake_at", "topics", "filter"].map(
    (name) => `${table}.${name}`,
  );
  return (
    `${[...plain, "data"].map((name) => `${table}.${name}`).join(", ")}, ` +
    `case when ${error} is null and ${wakeAt} is null and ${topics} is null then null ` +
    `else json_array(${error}, ${wakeAt}, ${topics}, ${filter}) end`
  );
}

export function taskOf(row: Row, start = 0): TaskRecord {
  const read = new RowReader(row, start);
  const task = {
    path: read.string(),
    seq: read.number(),
    kind: read.string(),
    status: read.string() as TaskStatus,
    attempts: read.number(),
    output: read.textOrNull(),
    error: null,
    startedAt: read.number(),
    finishedAt: read.numberOrNull(),
    wakeAt: null,
    data: read.textOrNull(),
  };
  const rest = read.stringOrNull();
  return rest === null ? task : { ...task, ...restOf(rest) };
}

function restOf(text: string): Partial<TaskRecord> {
  const read = new RowReader(JSON.parse(text) as Row);
  const rest = { error: read.textOrNull(), wakeAt: read.numberOrNull() };
  const topics = read.strings();
  return topics.length === 0 ? rest : { ...rest, topics, filter: read.textOrNull() };
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
