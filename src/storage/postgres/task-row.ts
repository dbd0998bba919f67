import type { StoredTask } from "../../core/run-tables.js";
import type { StoredLogLine, TaskStatus } from "../../core/storage.js";
import { arrayText } from "./array.js";
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

export function insertTasks(schema: string): string {
  return (
    `insert into ${schema}.tasks (rk, seq, path, kind, status, attempts, started_at, finished_at, wake_at, write_id, topics, filter, data, error, output) ` +
    "select u.rk, u.seq, u.path, u.kind, u.status, u.attempts, u.started_at, u.finished_at, u.wake_at, u.write_id, u.topics::text[], u.filter, u.data, u.error, u.output " +
    "from unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[]) " +
    "as u(rk, seq, path, kind, status, attempts, started_at, finished_at, wake_at, write_id, topics, filter, data, error, output)"
  );
}

export function taskParameters(
  rows: readonly { readonly rk: string; readonly task: StoredTask }[],
): Parameter[] {
  const column = (cell: (task: StoredTask) => string | number | null) =>
    arrayText(rows.map(({ task }) => cell(task)));
  return [
    arrayText(rows.map(({ rk }) => rk)),
    column(({ seq }) => seq),
    column(({ path }) => path),
    column(({ kind }) => kind),
    column(({ status }) => status),
    column(({ attempts }) => attempts),
    column(({ startedAt }) => startedAt),
    column(({ finishedAt }) => finishedAt),
    column(({ wakeAt }) => wakeAt),
    column(({ writeId }) => writeId),
    column(({ topics }) => (topics === undefined ? null : arrayText(topics))),
    column(({ filter }) => filter ?? null),
    column(({ data }) => data),
    column(({ error }) => error),
    column(({ output }) => output),
  ];
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
