import {
  type ItemPlace,
  type ItemTable,
  itemPlace,
  type PlaceKey,
  pageAfter,
} from "../../core/item-place.js";
import { runItem, taskItem } from "../../core/items.js";
import type { ItemPage, ItemQuery, StoredItem } from "../../core/storage.js";
import type { Context } from "./context.js";
import type { Row } from "./driver.js";
import { logColumns, logLineOf } from "./logs.js";
import { RowReader } from "./row-reader.js";
import { runColumns, storedRowOf } from "./run-row.js";
import { taskColumns, taskOf } from "./task-row.js";

/** Most rows of a page. */
const LARGEST_PAGE = 1_000;

interface Key {
  readonly column: string;
  readonly type: "text" | "bigint" | "integer";
}

/** How one table is read, in the order of its keys. */
interface Table {
  from(schema: string): string;
  readonly where?: (schema: string) => string;
  readonly keys: readonly Key[];
  /** Texts that users fill. */
  readonly large: readonly string[];
  readonly columns: (schema: string) => string;
  item(row: Row): StoredItem;
}

const text = (column: string): Key => ({ column, type: "text" });
const bigint = (column: string): Key => ({ column, type: "bigint" });
const integer = (column: string): Key => ({ column, type: "integer" });

const idOfRun = (schema: string, alias: string) =>
  `(select o.id from ${schema}.runs o where o.rk = ${alias}.rk)`;

const keyOfRun = "k.job_id = r.job_id and k.key = r.idempotency_key and k.run_id = r.id limit 1";

const signals = {
  from: (schema: string) => `${schema}.signals s`,
  large: ["s.ref"],
  columns: (schema: string) => `${idOfRun(schema, "s")}, s.id, s.topic, s.ref, s.unread::text`,
  item: signalOf,
};

const tables: Readonly<Record<ItemTable, Table>> = {
  values: {
    from: (schema) => `${schema}.values v`,
    keys: [text("v.key")],
    large: ["v.value"],
    columns: () => "v.key, v.version::text, v.value",
    item: (row) => {
      const read = new RowReader(row);
      const value = { kind: "value" as const, key: read.string(), version: read.number() };
      return { ...value, value: read.stringOrNull() };
    },
  },
  tombstones: {
    from: (schema) => `${schema}.tombstones x`,
    keys: [text("x.id")],
    large: [],
    columns: () => "x.id, x.create_id, x.fingerprint, x.created_at::text, x.until::text",
    item: (row) => {
      const read = new RowReader(row);
      const made = { id: read.string(), createId: read.stringOrNull() };
      const known = { fingerprint: read.stringOrNull(), createdAt: read.number() };
      return { kind: "tombstone", ...made, ...known, until: read.number() };
    },
  },
  keys: {
    from: (schema) => `${schema}.keys k join ${schema}.tombstones x on x.id = k.run_id`,
    // A run may have got the id of a purged one.
    where: (schema) => `not exists (select from ${schema}.runs r where r.id = k.run_id)`,
    keys: [text("k.job_id"), text("k.key")],
    large: [],
    columns: () => "k.job_id, k.key, k.run_id, x.key_expires_at::text",
    item: (row) => {
      const read = new RowReader(row);
      const key = { jobId: read.string(), idempotencyKey: read.string() };
      return { kind: "key", ...key, runId: read.string(), expiresAt: read.numberOrNull() };
    },
  },
  runs: {
    from: (schema) => `${schema}.runs r`,
    keys: [bigint("r.rk")],
    large: ["r.payload", "r.admitted", "r.output", "r.error", "r.state"],
    columns: (schema) =>
      `(exists (select from ${schema}.keys k where ${keyOfRun}))::text, ${runColumns}`,
    item: ([hasKey, ...row]) => runItem(storedRowOf(row).stored, hasKey === "true"),
  },
  tasks: {
    from: (schema) => `${schema}.tasks t`,
    keys: [bigint("t.rk"), integer("t.seq")],
    large: ["t.output", "t.error", "t.data", "t.filter"],
    columns: (schema) => `${idOfRun(schema, "t")}, ${taskColumns}`,
    item: ([runId, ...row]) => taskItem(runId ?? "", taskOf(row).task),
  },
  readSignals: {
    ...signals,
    where: () => "not s.unread",
    keys: [bigint("s.rk"), text("s.id")],
  },
  unreadSignals: {
    ...signals,
    where: () => "s.unread",
    keys: [bigint("s.rk"), bigint("s.position")],
  },
  logs: {
    from: (schema) => `${schema}.logs l`,
    keys: [bigint("l.rk"), integer("l.epoch"), integer("l.ordinal")],
    large: ["l.message", "l.data"],
    columns: (schema) => `${idOfRun(schema, "l")}, ${logColumns}`,
    item: ([runId, ...row]) => {
      const { position: _, epoch, ...line } = logLineOf(row);
      return { kind: "log", runId: runId ?? "", epoch, line };
    },
  },
};

function signalOf(row: Row): StoredItem {
  const read = new RowReader(row);
  const runId = read.string();
  const signal = { id: read.string(), topic: read.string(), ref: read.stringOrNull() };
  return { kind: "signal", runId, signal, isRead: !read.boolean() };
}

/** Everything in the schema, a page of one table at a time. */
export function exportItems(context: Context, { after, byteBudget }: ItemQuery): Promise<ItemPage> {
  const place = itemPlace(after);
  const table = tables[place.table];
  // In a transaction for the sake of `planByIndexes`.
  return context.driver.transaction(async (session) => {
    const rows = await session.query(pageQuery(context.schema, table, place), [
      ...(place.keys ?? []).map(String),
      String(byteBudget),
    ]);
    const { length } = table.keys;
    const items = rows.map((row) => table.item(row.slice(length)));
    return pageAfter(place, items, rows.at(-1)?.slice(0, length) as PlaceKey[] | undefined);
  });
}

/**
 * Rows behind the place, their keys first, as long as they fit: how long a text is the server tells without reading it.
 */
function pageQuery(schema: string, table: Table, { keys: behind = [] }: ItemPlace): string {
  const { from, where, keys, large, columns } = table;
  const order = keys.map(({ column }) => column).join(", ");
  const given = keys.map(({ type }, index) => `$${index + 1}::${type}`).join(", ");
  const conditions = [
    ...(behind.length > 0 ? [`(${order}) > (${given})`] : []),
    ...(where === undefined ? [] : [where(schema)]),
  ];
  const size = ["100", ...large.map((column) => `coalesce(octet_length(${column}), 0)`)];
  const names = keys.map(({ column }, index) => `${column} as k${index}`);
  const some =
    `select ${names.join(", ")}, ${size.join(" + ")} as size from ${from(schema)} ` +
    `${conditions.length > 0 ? `where ${conditions.join(" and ")} ` : ""}order by ${order} limit ${LARGEST_PAGE}`;
  const places = keys.map((_, index) => `k${index}`).join(", ");
  const fitting =
    `select ${places} from (select ${places}, sum(size) over (order by ${places}) - size as before from (${some}) as page) as sized ` +
    `where before < $${behind.length + 1}::bigint`;
  return (
    `select ${keys.map((_, index) => `p.k${index}::text`).join(", ")}, ${columns(schema)} from (${fitting}) as p ` +
    `join ${from(schema)} on ${keys.map(({ column }, index) => `${column} = p.k${index}`).join(" and ")} ` +
    // Again, for the sake of an index that has only such rows.
    `${where === undefined ? "" : `where ${where(schema)} `}` +
    `order by ${places.replaceAll("k", "p.k")}`
  );
}
