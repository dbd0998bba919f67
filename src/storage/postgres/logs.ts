import type { LogLine, StoredLogLine } from "../../core/storage.js";
import { arrayText } from "./array.js";
import {
  arrayParametersOf,
  arraysOf,
  type Column,
  isJoinable,
  joinedOf,
  joinedParametersOf,
  namesOf,
} from "./column.js";
import type { Context } from "./context.js";
import type { Parameter, Row, Session } from "./driver.js";
import { RowReader } from "./row-reader.js";

const columns: readonly Column<LogLine>[] = [
  { name: "ordinal", type: "integer", cell: ({ ordinal }) => ordinal },
  { name: "at", type: "bigint", cell: ({ at }) => at },
  { name: "stream", type: "text", cell: ({ stream }) => stream },
  { name: "path", type: "text", cell: ({ path }) => path },
  { name: "level", type: "text", cell: ({ level }) => level },
  { name: "message", type: "text", cell: ({ message }) => message },
  { name: "data", type: "text", cell: ({ data }) => data },
];

/** A line that is there already came with an earlier try. */
function insertLines(schema: string, holder: string, table: string): string {
  return (
    `insert into ${schema}.logs (rk, epoch, ${namesOf(columns)}) select ${holder}.rk, ${holder}.epoch, ${namesOf(columns)} ` +
    `from ${table} order by line on conflict do nothing`
  );
}

/** The lines of a batch of writes. */
export class Logs {
  readonly #lines: { readonly rk: string; readonly epoch: number; readonly line: LogLine }[] = [];

  add(rk: string, epoch: number, lines: readonly LogLine[]): void {
    for (const line of lines) this.#lines.push({ rk, epoch, line });
  }

  async store({ schema }: Context, session: Session): Promise<void> {
    if (this.#lines.length === 0) return;
    const arrays = arraysOf(columns, 3).join(", ");
    const table = `unnest($1::bigint[], $2::integer[], ${arrays}) with ordinality as u(rk, epoch, ${namesOf(columns)}, line)`;
    const lines = this.#lines.map(({ line }) => line);
    await session.query(insertLines(schema, "u", table), [
      arrayText(this.#lines.map(({ rk }) => rk)),
      arrayText(this.#lines.map(({ epoch }) => epoch)),
      ...arrayParametersOf(columns, lines),
    ]);
  }
}

/** In a statement in which `held` has number, rk and epoch of each write, beginning with parameter `$from`. */
export function insertLinesOfHeld(schema: string, from: number): string {
  const joined = joinedOf(columns, from + 1).join(", ");
  const table = `unnest($${from}::integer[], ${joined}) with ordinality as u(number, ${namesOf(columns)}, line) join held h on h.number = u.number`;
  return insertLines(schema, "h", table);
}

/** A line of the write with a number. */
export interface LineOfWrite {
  readonly number: number;
  readonly line: LogLine;
}

export function parametersOfHeld(lines: readonly LineOfWrite[]): Parameter[] {
  return [
    arrayText(lines.map(({ number }) => number)),
    ...joinedParametersOf(
      columns,
      lines.map(({ line }) => line),
    ),
  ];
}

export function isJoinableLine({ stream, path, level, message, data }: LogLine): boolean {
  return [stream, path, level, message, data].every(isJoinable);
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
