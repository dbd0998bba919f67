import type { Row } from "./driver.js";

/**
 * Many rows as one, in which a cell is a column of them as a JSON array: what a client makes of each cell of a row
 * costs several times more than its text.
 */
export interface PackedColumn {
  readonly sql: string;
  /** Mostly the same in all rows, and then packed once; never null. */
  readonly isShared?: true;
}

/** For a `select` without `group by`. Columns without a value are null. */
export function packed(columns: readonly PackedColumn[]): string {
  return columns.map(packedColumn).join(", ");
}

function packedColumn({ sql, isShared }: PackedColumn): string {
  const all = `to_json(array_agg(${sql}))`;
  const packedOnce =
    isShared === true
      ? `case when min(${sql}) = max(${sql}) then json_build_array(min(${sql})) else ${all} end`
      : `case when count(${sql}) > 0 then ${all} end`;
  return `(${packedOnce})::text`;
}

type Cell = string | number | boolean | null;

/** Reads what {@link packed} made, column by column. */
export class PackReader {
  readonly #row: Row;
  #next: number;

  constructor(row: Row | undefined, from = 0) {
    this.#row = row ?? [];
    this.#next = from;
  }

  texts(): PackedCells<string> {
    return this.#cells() as PackedCells<string>;
  }

  numbers(): PackedCells<number> {
    return this.#cells() as PackedCells<number>;
  }

  booleans(): PackedCells<boolean> {
    return this.#cells() as PackedCells<boolean>;
  }

  #cells(): PackedCells<Cell> {
    const text = this.#row[this.#next++] ?? null;
    return new PackedCells(text === null ? [] : (JSON.parse(text) as Cell[]));
  }
}

export class PackedCells<T extends Cell> {
  readonly #cells: readonly (T | null)[];
  readonly #isShared: boolean;

  constructor(cells: readonly (T | null)[]) {
    this.#cells = cells;
    this.#isShared = cells.length === 1;
  }

  /** How many rows there are, of a column that is not shared and has a value in each. */
  get length(): number {
    return this.#cells.length;
  }

  at(index: number): T | null {
    return this.#cells[this.#isShared ? 0 : index] ?? null;
  }

  /** Of a column without nulls. */
  of(index: number, ifNone: T): T {
    return this.at(index) ?? ifNone;
  }
}
