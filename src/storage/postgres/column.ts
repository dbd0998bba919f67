import { arrayText } from "./array.js";
import type { Parameter } from "./driver.js";

export type Cell = string | number | null;

/** A column of a table, and what of an entry is in it: an array as PostgreSQL writes it, a boolean as text. */
export interface Column<Entry> {
  readonly name: string;
  readonly type: "text" | "bigint" | "integer" | "boolean" | "text[]";
  cell(entry: Entry): Cell;
}

type Columns<Entry> = readonly Column<Entry>[];

export function namesOf<Entry>(columns: Columns<Entry>): string {
  return columns.map(({ name }) => name).join(", ");
}

/** Of the table of many entries with the alias `alias`. What travelled as text is made what it is. */
export function cellsOf<Entry>(columns: Columns<Entry>, alias: string): string[] {
  return columns.map(({ name, type }) =>
    travelsAsText(type) ? `${alias}.${name}::${type}` : `${alias}.${name}`,
  );
}

function travelsAsText(type: Column<unknown>["type"]): boolean {
  return type === "boolean" || type === "text[]";
}

/** One entry: the parameters `$from`, `$from + 1`, … */
export function placesOf<Entry>(columns: Columns<Entry>, from: number): string[] {
  return columns.map(({ type }, index) => `$${from + index}::${type}`);
}

/** The same for a statement that inserts the cells beside those of {@link cellsOf}: of a boolean a client makes another one. */
export function onceOf<Entry>(columns: Columns<Entry>, from: number): string[] {
  return columns.map(({ type }, index) =>
    travelsAsText(type) ? `$${from + index}::text::${type}` : `$${from + index}::${type}`,
  );
}

export function parametersOf<Entry>(columns: Columns<Entry>, entry: Entry): Parameter[] {
  return columns.map(({ cell }) => {
    const value = cell(entry);
    return value === null ? null : String(value);
  });
}

/** Many entries, for `unnest`: a parameter is a column of them. */
export function arraysOf<Entry>(columns: Columns<Entry>, from: number): string[] {
  return columns.map(({ type }, index) => arrayAt(type, from + index));
}

function arrayAt(type: Column<unknown>["type"], place: number): string {
  return `$${place}::${travelsAsText(type) ? "text" : type}[]`;
}

export function arrayParametersOf<Entry>(
  columns: Columns<Entry>,
  entries: readonly Entry[],
): Parameter[] {
  return columns.map(({ cell }) => arrayOfCells(entries.map(cell)));
}

/** In `unnest` a shorter array is filled up with nulls. */
function arrayOfCells(cells: readonly Cell[]): Parameter {
  return cells.every((cell) => cell === null) ? "{}" : arrayText(cells);
}

const BETWEEN = "\u001f";
const NOTHING = "\u001e";

/**
 * Many entries in a shorter way: a column of texts is one text. PostgreSQL cuts
 * that up in less time than it reads an array, and the quotes of JSON stay as
 * they are. Only for texts that are all {@link isJoinable}.
 */
export function joinedOf<Entry>(columns: Columns<Entry>, from: number): string[] {
  return columns.map(({ type }, index) =>
    type === "text" ? joinedAt(from + index) : arrayAt(type, from + index),
  );
}

export function joinedAt(place: number): string {
  return `string_to_array($${place}::text, '${BETWEEN}', '${NOTHING}')`;
}

export function joinedParametersOf<Entry>(
  columns: Columns<Entry>,
  entries: readonly Entry[],
): Parameter[] {
  return columns.map(({ type, cell }) =>
    type === "text" ? joinedTexts(entries, cell) : arrayOfCells(entries.map(cell)),
  );
}

/** The text of each entry. */
export function joinedTexts<Entry>(
  entries: readonly Entry[],
  cell: (entry: Entry) => Cell,
): Parameter {
  let isEmpty = true;
  const cells = entries.map((entry) => {
    const text = cell(entry);
    if (text === null) return NOTHING;
    isEmpty = false;
    return text;
  });
  return isEmpty ? "" : cells.join(BETWEEN);
}

/** Of an empty text alone nothing would be left. */
export function isJoinable(text: string | null | undefined): boolean {
  if (text === null || text === undefined) return true;
  return text !== "" && !text.includes(BETWEEN) && !text.includes(NOTHING);
}
