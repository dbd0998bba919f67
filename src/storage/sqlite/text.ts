import { StorageError } from "../../core/errors.js";
import type { Row, SqlValue } from "./driver.js";

/**
 * User values are opaque text and must come back as they were. SQLite stores
 * UTF-8, which has no lone surrogates, and libsql cuts text at U+0000, so such
 * text is stored as JSON behind this mark.
 */
const MARK = "\u0001";

interface WellFormed {
  isWellFormed(): boolean;
}

/** Throws a TypeError for what is not text: libsql would end the process for a boolean. */
export function packText(text: string): string {
  if (typeof text !== "string") throw new TypeError(`expected text, got ${typeof text}`);
  const plain =
    text.charCodeAt(0) !== 1 &&
    !text.includes("\0") &&
    (text as unknown as WellFormed).isWellFormed();
  return plain ? text : MARK + JSON.stringify(text);
}

export function packTextOrNull(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : packText(text);
}

function unpackText(text: string): string {
  return text.charCodeAt(0) === 1 ? (JSON.parse(text.slice(1)) as string) : text;
}

/** Reads the columns of a row one after the other, in the order of the select list. */
export class RowReader {
  readonly #row: Row;
  #next: number;

  constructor(row: Row, start = 0) {
    this.#row = row;
    this.#next = start;
  }

  number(): number {
    const value = this.#take();
    return typeof value === "number" ? value : this.#corrupt("a number", value);
  }

  numberOrNull(): number | null {
    const value = this.#take();
    return value === null || typeof value === "number" ? value : this.#corrupt("a number", value);
  }

  string(): string {
    const value = this.#take();
    return typeof value === "string" ? value : this.#corrupt("text", value);
  }

  stringOrNull(): string | null {
    const value = this.#take();
    return value === null || typeof value === "string" ? value : this.#corrupt("text", value);
  }

  text(): string {
    return unpackText(this.string());
  }

  textOrNull(): string | null {
    const value = this.stringOrNull();
    return value === null ? null : unpackText(value);
  }

  /** A column of our own that holds an array of strings, null if empty. */
  strings(): readonly string[] {
    const value = this.stringOrNull();
    return value === null ? [] : (JSON.parse(value) as string[]);
  }

  #take(): SqlValue {
    const value = this.#row[this.#next++];
    return value === undefined ? this.#corrupt("a value", value) : value;
  }

  #corrupt(expected: string, value: unknown): never {
    throw new StorageError(
      "STORAGE_CORRUPT",
      `The SQLite file holds ${typeof value} where column ${this.#next} should be ${expected}. Was it changed by another program?`,
    );
  }
}

/** The column for a set of strings: null if empty, so that partial indexes can leave it out. */
export function packStrings(strings: readonly string[] | undefined): string | null {
  if (strings === undefined || strings.length === 0) return null;
  return JSON.stringify(strings.length === 1 ? strings : [...new Set(strings)]);
}

/** The first column of a row that is there. */
export function numberOf(row: Row): number {
  return new RowReader(row).number();
}

/** The first column of a row that may not be there, or not have it. */
export function firstNumber(row: Row | undefined): number | undefined {
  const value = row?.[0];
  return typeof value === "number" ? value : undefined;
}
