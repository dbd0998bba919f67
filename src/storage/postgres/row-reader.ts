import type { Row } from "./driver.js";

/** Reads the columns of a row in their order. */
export class RowReader {
  readonly #row: Row;
  #next = 0;

  constructor(row: Row) {
    this.#row = row;
  }

  stringOrNull(): string | null {
    return this.#row[this.#next++] ?? null;
  }

  string(): string {
    return this.stringOrNull() ?? "";
  }

  numberOrNull(): number | null {
    const text = this.stringOrNull();
    return text === null ? null : Number(text);
  }

  number(): number {
    return Number(this.string());
  }

  boolean(): boolean {
    return this.string() === "true";
  }

  /** Of an array that the statement turned into JSON. */
  strings(): readonly string[] {
    const text = this.stringOrNull();
    return text === null ? [] : (JSON.parse(text) as string[]);
  }
}
