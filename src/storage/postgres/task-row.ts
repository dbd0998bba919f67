import type { StoredTask } from "../../core/run-tables.js";
import type { StoredLogLine, TaskStatus } from "../../core/storage.js";
import { arrayText, columnText } from "./array.js";
import type { Parameter, Row } from "./driver.js";
import { RowReader } from "./row-reader.js";

/** Of a table with the alias `t`. */
export const taskColumns =
  "t.rk::text, t.path, t.seq::text, t.kind, t.status, t.attempts::text, t.output, t.error, t.started_at::text, " +
  "t.finished_at::text, t.wake_at::text, t.data, array_to_json(t.topics)::text, t.filter, t.write_id";

export function taskOf(row: Row): { readonly rk: string; readonly task: StoredTask } {
  const read = new RowReader(row);
  const rk = read.string();
  const task = {
    path: read.string(),
    seq: read.number(),
    kind: read.string(),
    status: read.string() as TaskStatus,
    attempts: read.number(),
    output: read.stringOrNull(),
    error: read.stringOrNull(),
    startedAt: read.number(),
    finishedAt: read.numberOrNull(),
    wakeAt: read.numberOrNull(),
    data: read.stringOrNull(),
  };
  const topics = read.stringOrNull();
  const filter = read.stringOrNull();
  return {
    rk,
    task: {
      ...task,
      ...(topics === null ? undefined : { topics: JSON.parse(topics) as string[] }),
      ...(filter === null && topics === null ? undefined : { filter }),
      writeId: read.string(),
    },
  };
}

interface Column {
  readonly name: string;
  readonly type: "text" | "bigint" | "integer" | "text[]";
  cell(task: StoredTask): string | number | null;
}

/** What a record brings, all but the key of its run. */
const written: readonly Column[] = [
  { name: "seq", type: "integer", cell: ({ seq }) => seq },
  { name: "path", type: "text", cell: ({ path }) => path },
  { name: "kind", type: "text", cell: ({ kind }) => kind },
  { name: "status", type: "text", cell: ({ status }) => status },
  { name: "attempts", type: "integer", cell: ({ attempts }) => attempts },
  { name: "started_at", type: "bigint", cell: ({ startedAt }) => startedAt },
  { name: "finished_at", type: "bigint", cell: ({ finishedAt }) => finishedAt },
  { name: "wake_at", type: "bigint", cell: ({ wakeAt }) => wakeAt },
  { name: "write_id", type: "text", cell: ({ writeId }) => writeId },
  {
    name: "topics",
    type: "text[]",
    cell: ({ topics }) => (topics === undefined ? null : arrayText(topics)),
  },
  { name: "filter", type: "text", cell: ({ filter }) => filter ?? null },
  { name: "data", type: "text", cell: ({ data }) => data },
  { name: "error", type: "text", cell: ({ error }) => error },
  { name: "output", type: "text", cell: ({ output }) => output },
];

export const newTaskColumns = written.map(({ name }) => name).join(", ");

/** For one record: `$from`, `$from + 1`, … */
export function newTaskValues(from: number): string {
  return written.map(({ type }, index) => `$${from + index}::${type}`).join(", ");
}

/** For many: a parameter is a column of them, and `u` the table. Arrays of arrays travel as text. */
export const unnestedTasks = {
  columns: written
    .map(({ name, type }) => (type === "text[]" ? `u.${name}::${type}` : `u.${name}`))
    .join(", "),
  parameters: (from: number) =>
    written
      .map(({ type }, index) => `$${from + index}::${type === "text[]" ? "text" : type}[]`)
      .join(", "),
};

/** The parameters of one record. */
export function newTaskCells(task: StoredTask): Parameter[] {
  return written.map(({ cell }) => {
    const value = cell(task);
    return value === null ? null : String(value);
  });
}

/** The parameters of many. */
export function newTaskArrays(tasks: readonly StoredTask[]): Parameter[] {
  return written.map(({ cell }) => columnText(tasks.map(cell)));
}

export function insertTasks(schema: string): string {
  return (
    `insert into ${schema}.tasks (rk, ${newTaskColumns}) select u.rk, ${unnestedTasks.columns} ` +
    `from unnest($1::bigint[], ${unnestedTasks.parameters(2)}) as u(rk, ${newTaskColumns})`
  );
}

export function taskParameters(
  rows: readonly { readonly rk: string; readonly task: StoredTask }[],
): Parameter[] {
  return [arrayText(rows.map(({ rk }) => rk)), ...newTaskArrays(rows.map(({ task }) => task))];
}

/** Of a table with the alias `l`. */
export const logColumns =
  "l.ordinal::text, l.stream, l.path, l.level, l.message, l.data, l.at::text, l.epoch::text, l.position::text";

export function logLineOf(row: Row): StoredLogLine {
  const read = new RowReader(row);
  return {
    ordinal: read.number(),
    stream: read.string(),
    path: read.string(),
    level: read.string(),
    message: read.string(),
    data: read.stringOrNull(),
    at: read.number(),
    epoch: read.number(),
    position: read.number(),
  };
}
