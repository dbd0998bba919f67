import type { RunWrite } from "../../core/storage.js";
import {
  type Column,
  joinedOf,
  joinedParametersOf,
  namesOf,
  parametersOf,
  placesOf,
} from "./column.js";
import type { Context } from "./context.js";
import type { Parameter } from "./driver.js";
import { isUniqueViolation } from "./failure.js";
import type { Lease } from "./held-runs.js";
import { isHeld } from "./record-writes.js";

/**
 * A write of a run that this process holds, as it last heard. There is nothing to look at before it is stored, if its
 * statement finds the run as it was.
 */
export interface HeldWrite<Write extends RunWrite = RunWrite> {
  readonly write: Write;
  readonly lease: Lease;
}

export const guardColumns: readonly Column<HeldWrite>[] = [
  { name: "id", type: "text", cell: ({ write }) => write.runId },
  { name: "held_epoch", type: "integer", cell: ({ lease }) => lease.epoch },
  { name: "held_inbox", type: "integer", cell: ({ lease }) => lease.inbox },
  { name: "write_id", type: "text", cell: ({ write }) => write.writeId },
];

interface HeldStatement<Write extends RunWrite> {
  readonly writes: readonly HeldWrite<Write>[];
  /** Of the table `held`, beside {@link guardColumns}, and the row key of the run and the `place` of the write. */
  readonly columns: readonly Column<HeldWrite<Write>>[];
  /** How the rows of runs are locked (contract S2). */
  readonly lock: "share" | "no key update";
  /** What else must be true of a run `r`. */
  readonly given?: string;
  /** Further common table expressions, separated by commas. */
  body(equal: Equal, from: number): string;
  /** Parameters that the body takes, `$from` and on. */
  readonly more?: readonly Parameter[];
  /** The table with the places of the writes that were stored. */
  readonly stored: string;
}

/** Compares a column of a table of the schema with the `name` of another, which has an alias. */
export type Equal = (column: string, name: string, table: string, alias: string) => string;

const ofMany: Equal = (column, name, _table, alias) => `${column} = ${alias}.${name}`;
/** Not a join, which might read the whole table: see planByIndexes. */
const ofOne: Equal = (column, name, table) => `${column} = (select x.${name} from ${table} x)`;

/**
 * Answers those that were stored. Nothing is of a run that is not held as it was known to be, nor anything if a seq is
 * taken: the general way decides what that means. Rows are not waited for.
 */
export async function storeHeld<Write extends RunWrite>(
  context: Context,
  statement: HeldStatement<Write>,
): Promise<readonly HeldWrite<Write>[]> {
  const { writes, stored, lock, given, body, more = [] } = statement;
  const columns = [...guardColumns, ...statement.columns];
  const [only] = writes;
  if (only === undefined) return [];
  const isOne = writes.length === 1;
  const entries = isOne
    ? `(select ${placesOf(columns, 1).join(", ")}, 1)`
    : `unnest(${joinedOf(columns, 1).join(", ")}) with ordinality`;
  const text =
    `with held as materialized (select w.*, r.rk from ${entries} as w(${namesOf(columns)}, place) ` +
    `cross join lateral (select r.rk from ${context.schema}.runs r where r.id = w.id and r.epoch = w.held_epoch and r.inbox = w.held_inbox ` +
    `and ${isHeld}${given === undefined ? "" : ` and ${given}`} for ${lock} skip locked) as r), ` +
    `${body(isOne ? ofOne : ofMany, columns.length + 1)} select string_agg(s.place::text, ',') from ${stored} s`;
  try {
    const [row] = isOne
      ? await context.driver.query(text, [...parametersOf(columns, only), ...more])
      : await context.driver.planned(text, [...joinedParametersOf(columns, writes), ...more]);
    return (row?.[0] ?? "").split(",").flatMap((place) => writes[Number(place) - 1] ?? []);
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    return [];
  }
}
