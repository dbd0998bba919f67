/** What the adapter uses of a SQLite driver, made the same for all of them. */
export type SqlValue = string | number | null;
export type Row = readonly SqlValue[];

export interface Statement {
  /** Number of rows changed. Only for statements that answer no rows. */
  run(values: readonly SqlValue[]): number;
  /** Row number of the inserted row, 0 if none was. */
  insert(values: readonly SqlValue[]): number;
  get(values: readonly SqlValue[]): Row | undefined;
  all(values: readonly SqlValue[]): Row[];
}

interface RunInfo {
  readonly changes: number;
  readonly lastInsertRowid: number;
}

function insertedRow(info: unknown): number {
  const { changes, lastInsertRowid } = info as RunInfo;
  return changes === 0 ? 0 : lastInsertRowid;
}

export interface Connection {
  /** The driver's own database. */
  readonly handle: object;
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}

export interface Driver {
  readonly name: string;
  open(path: string): Connection;
}

export const driverNames = ["node:sqlite", "libsql", "better-sqlite3", "bun:sqlite"] as const;
export type DriverName = (typeof driverNames)[number];

/** The part of a driver's statement class that is used; each driver has some of it. */
export interface NativeStatement {
  run(...values: unknown[]): unknown;
  get(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown;
  /** better-sqlite3 and libsql: answers rows, and may be switched to arrays. */
  readonly reader?: boolean;
  raw?(on: boolean): unknown;
  /** node:sqlite, since 22.16 and 24. */
  setReturnArrays?(on: boolean): void;
  /** bun:sqlite. */
  values?(...values: unknown[]): unknown;
}

interface NativeDatabase {
  prepare(sql: string): NativeStatement;
  exec(sql: string): unknown;
  close(): unknown;
}

export type DatabaseConstructor = new (path: string) => NativeDatabase;

/**
 * better-sqlite3 and libsql take the values as one array, which saves a copy.
 * A libsql statement must run to its end: `run` of a query would leave a read
 * snapshot open, and every later write would be refused as busy.
 */
class ArrayStatement implements Statement {
  readonly #native: NativeStatement;

  constructor(native: NativeStatement) {
    this.#native = native;
    if (native.reader) native.raw?.(true);
  }

  run(values: readonly SqlValue[]): number {
    return (this.#native.run(values) as RunInfo).changes;
  }

  insert(values: readonly SqlValue[]): number {
    return insertedRow(this.#native.run(values));
  }

  get(values: readonly SqlValue[]): Row | undefined {
    return this.#native.get(values) as Row | undefined;
  }

  all(values: readonly SqlValue[]): Row[] {
    return this.#native.all(values) as Row[];
  }
}

/** node:sqlite takes the values one by one, and an array only as a row. */
class NodeStatement implements Statement {
  readonly #native: NativeStatement;
  readonly #arrays: boolean;

  constructor(native: NativeStatement) {
    this.#native = native;
    this.#arrays = native.setReturnArrays !== undefined;
    native.setReturnArrays?.(true);
  }

  run(values: readonly SqlValue[]): number {
    return (this.#native.run(...values) as RunInfo).changes;
  }

  insert(values: readonly SqlValue[]): number {
    return insertedRow(this.#native.run(...values));
  }

  get(values: readonly SqlValue[]): Row | undefined {
    const row = this.#native.get(...values);
    return row === undefined ? undefined : this.#toArray(row);
  }

  all(values: readonly SqlValue[]): Row[] {
    const rows = this.#native.all(...values) as unknown[];
    return this.#arrays ? (rows as Row[]) : rows.map((row) => this.#toArray(row));
  }

  #toArray(row: unknown): Row {
    return this.#arrays ? (row as Row) : Object.values(row as Record<string, SqlValue>);
  }
}

class BunStatement implements Statement {
  readonly #native: NativeStatement;

  constructor(native: NativeStatement) {
    this.#native = native;
  }

  run(values: readonly SqlValue[]): number {
    return (this.#native.run(...values) as RunInfo).changes;
  }

  insert(values: readonly SqlValue[]): number {
    return insertedRow(this.#native.run(...values));
  }

  get(values: readonly SqlValue[]): Row | undefined {
    return this.all(values)[0];
  }

  all(values: readonly SqlValue[]): Row[] {
    return (this.#native.values?.(...values) ?? []) as Row[];
  }
}

export type StatementStyle = "array" | "node" | "bun";

const statementOf: Record<StatementStyle, (native: NativeStatement) => Statement> = {
  array: (native) => new ArrayStatement(native),
  node: (native) => new NodeStatement(native),
  bun: (native) => new BunStatement(native),
};

export function driverOf(
  name: string,
  style: StatementStyle,
  Database: DatabaseConstructor,
): Driver {
  return {
    name,
    open(path) {
      const native = new Database(path);
      return {
        handle: native,
        prepare: (sql) => statementOf[style](native.prepare(sql)),
        exec: (sql) => void native.exec(sql),
        close: () => void native.close(),
      };
    },
  };
}
