import { StorageError } from "./errors.js";
import type { ItemPage, StoredItem } from "./storage-items.js";

/**
 * The parts of a store that has tables, in the order in which they are exported: what others belong to comes first.
 * Signals that are read have no order any more, and go by their ids.
 */
export const itemTables = [
  "values",
  "tombstones",
  "keys",
  "runs",
  "tasks",
  "readSignals",
  "unreadSignals",
  "logs",
] as const;
export type ItemTable = (typeof itemTables)[number];

export type PlaceKey = string | number;

/** How far an export has come: behind the row with these keys. */
export interface ItemPlace {
  readonly table: ItemTable;
  /** undefined: at its beginning. */
  readonly keys?: readonly PlaceKey[];
}

/** @throws StorageError STORAGE_INVALID if it is none that `pageAfter` gave */
export function itemPlace(after: string | undefined): ItemPlace {
  if (after === undefined) return { table: itemTables[0] };
  const [, name, json] = /^([a-zA-Z]+) ?(.*)$/s.exec(after) ?? [];
  const table = itemTables.find((each) => each === name);
  if (table === undefined || json === undefined)
    throw new StorageError("STORAGE_INVALID", "The place is not one that exportRuns gave.");
  return json === "" ? { table } : { table, keys: JSON.parse(json) as PlaceKey[] };
}

/** What was read from a place: its table goes on behind the keys of the last row, and without one it is through. */
export function pageAfter(
  { table }: ItemPlace,
  items: readonly StoredItem[],
  lastKeys: readonly PlaceKey[] | undefined,
): ItemPage {
  if (lastKeys !== undefined) return { items, next: `${table} ${JSON.stringify(lastKeys)}` };
  const next = itemTables[itemTables.indexOf(table) + 1];
  return next === undefined ? { items } : { items, next };
}
