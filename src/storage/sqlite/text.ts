import { StorageError } from "../../core/errors.js";
import type { Row } from "./driver.js";

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

export function numberAt(row: Row, index: number): number {
  const value = row[index];
  return typeof value === "number" ? value : corrupt("a number", value, index);
}

export function stringAt(row: Row, index: number): string {
  const value = row[index];
  return typeof value === "string" ? value : corrupt("text", value, index);
}

export function textAt(row: Row, index: number): string | null {
  return row[index] === null ? null : unpackText(stringAt(row, index));
}

function corrupt(expected: string, value: unknown, index: number): never {
  throw new StorageError(
    "STORAGE_CORRUPT",
    `The SQLite file holds ${typeof value} where column ${index + 1} should be ${expected}. Was it changed by another program?`,
  );
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
    return numberAt(this.#row, this.#next++);
  }

  numberOrNull(): number | null {
    return this.#isNull() ? null : this.number();
  }

  string(): string {
    return stringAt(this.#row, this.#next++);
  }

  stringOrNull(): string | null {
    return this.#isNull() ? null : this.string();
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

  #isNull(): boolean {
    if (this.#row[this.#next] !== null) return false;
    this.#next++;
    return true;
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
