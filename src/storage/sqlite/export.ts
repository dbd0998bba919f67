import {
  type ItemPlace,
  type ItemTable,
  itemPlace,
  type PlaceKey,
  pageAfter,
} from "../../core/item-place.js";
import { isFinal } from "../../core/run-status.js";
import type { ItemPage, ItemQuery, StoredItem } from "../../core/storage.js";
import type { Database } from "./database.js";
import type { Row } from "./driver.js";
import { recordJson, recordOf } from "./run-row.js";
import { taskJson, taskOf } from "./task-row.js";
import { numberAt, RowReader } from "./text.js";

/** Most rows of a page. */
const LARGEST_PAGE = 1_000;

/** How one table is read, in the order of its keys. */
interface Table {
  readonly from: string;
  readonly where?: string;
  readonly keys: readonly string[];
  /** Before the first row. */
  readonly start: readonly PlaceKey[];
  /** Texts that users fill. */
  readonly large: readonly string[];
  readonly columns: string;
  item(row: Row): StoredItem;
}

const idOfRun = "(select id from pawl_runs r where r.rk = t.rk)";

const signals = {
  from: "pawl_signals t",
  large: ["t.ref"],
  columns: `${idOfRun}, t.id, t.topic, t.ref, t.unread`,
  item: signalOf,
};

const tables: Readonly<Record<ItemTable, Table>> = {
  values: {
    from: "pawl_values t",
    keys: ["t.key"],
    start: [""],
    large: ["t.value"],
    columns: "t.key, t.version, t.value",
    item: (row) => {
      const read = new RowReader(row);
      const value = { kind: "value" as const, key: read.string(), version: read.number() };
      return { ...value, value: read.textOrNull() };
    },
  },
  tombstones: {
    from: "pawl_tombstones t",
    keys: ["t.id"],
    start: [""],
    large: [],
    columns: "t.id, t.create_id, t.fingerprint, t.created_at, t.until",
    item: (row) => {
      const read = new RowReader(row);
      const made = { id: read.string(), createId: read.stringOrNull() };
      const known = { fingerprint: read.stringOrNull(), createdAt: read.number() };
      return { kind: "tombstone", ...made, ...known, until: read.number() };
    },
  },
  keys: {
    from: "pawl_keys t",
    // Of the others their runs tell. One without its tombstone has had its time.
    where:
      "t.purged_until is not null and exists (select 1 from pawl_tombstones where id = t.run_id)",
    keys: ["t.job_id", "t.key"],
    start: ["", ""],
    large: [],
    columns: "t.job_id, t.key, t.run_id, t.expires_at",
    item: (row) => {
      const read = new RowReader(row);
      const key = { jobId: read.string(), idempotencyKey: read.string() };
      return { kind: "key", ...key, runId: read.string(), expiresAt: read.numberOrNull() };
    },
  },
  runs: {
    from: "pawl_runs t left join pawl_keys k on k.job_id = t.job_id and k.key = t.idempotency_key and k.run_id = t.id and k.purged_until is null",
    keys: ["t.rk"],
    start: [-1],
    large: ["t.payload", "t.admitted", "t.output", "t.error", "t.state"],
    columns: `(select ${recordJson} from pawl_runs where rk = t.rk), t.create_id, t.write_id, t.wake_at, t.wake_signals, t.unread, k.run_id, k.expires_at`,
    item: runOf,
  },
  tasks: {
    from: "pawl_tasks t",
    keys: ["t.rk", "t.seq"],
    start: [-1, -1],
    large: ["t.output", "t.error", "t.data", "t.filter", "t.topics"],
    columns: `${idOfRun}, t.write_id, ${taskJson("t")}`,
    item: (row) => {
      const read = new RowReader(row);
      const task = { kind: "task" as const, runId: read.string(), writeId: read.string() };
      return { ...task, task: taskOf(JSON.parse(read.string()) as Row) };
    },
  },
  readSignals: { ...signals, where: "t.unread = 0", keys: ["t.rk", "t.id"], start: [-1, ""] },
  unreadSignals: {
    ...signals,
    where: "t.unread = 1",
    keys: ["t.rk", "t.position"],
    start: [-1, -1],
  },
  logs: {
    from: "pawl_logs t",
    keys: ["t.rk", "t.epoch", "t.ordinal"],
    start: [-1, -1, -1],
    large: ["t.message", "t.data"],
    columns: `${idOfRun}, t.epoch, t.ordinal, t.stream, t.path, t.level, t.message, t.data, t.at`,
    item: logOf,
  },
};

function signalOf(row: Row): StoredItem {
  const read = new RowReader(row);
  const runId = read.string();
  const signal = { id: read.string(), topic: read.string(), ref: read.textOrNull() };
  return { kind: "signal", runId, signal, isRead: read.number() === 0 };
}

function logOf(row: Row): StoredItem {
  const read = new RowReader(row);
  const runId = read.string();
  const epoch = read.number();
  const place = { ordinal: read.number(), stream: read.string(), path: read.string() };
  const said = { level: read.string(), message: read.text(), data: read.textOrNull() };
  return { kind: "log", runId, epoch, line: { ...place, ...said, at: read.number() } };
}

function runOf(row: Row): StoredItem {
  const read = new RowReader(row);
  const run = recordOf(read.string());
  const made = { createId: read.stringOrNull(), writeId: read.stringOrNull() };
  const woken = { wakeAt: read.numberOrNull(), wakeSignals: read.number() };
  const isParked = run.leaseUntil === null && !isFinal(run.status);
  const unread = read.number();
  const hasKey = read.stringOrNull() !== null;
  const key = hasKey ? { expiresAt: read.numberOrNull() } : null;
  const wake = isParked ? woken : { wakeAt: null, wakeSignals: 0 };
  return { kind: "run", run, ...made, ...wake, unread, key };
}

/** Everything in the file, a page of one table at a time. */
export function exportItems(database: Database, { after, byteBudget }: ItemQuery): ItemPage {
  const place = itemPlace(after);
  const table = tables[place.table];
  const last = lastOfPage(database, table, place, byteBudget);
  if (last === undefined) return pageAfter(place, [], undefined);
  const { from, columns, keys } = table;
  const names = keys.join(", ");
  const rows = database.all(
    `select ${columns} from ${from} where ${conditionsOf(table)} and (${names}) <= (${placesFor(keys)}) order by ${names}`,
    [...(place.keys ?? table.start), ...last],
  );
  return pageAfter(place, rows.map(table.item), last);
}

/**
 * The keys of the last row that fits. A driver answers all rows of a query at once, and single texts may have
 * megabytes: so the sizes come first.
 */
function lastOfPage(
  database: Database,
  table: Table,
  place: ItemPlace,
  byteBudget: number,
): readonly PlaceKey[] | undefined {
  const { from, keys, large, start } = table;
  const sizes = large.map((column) => `coalesce(length(${column}), 0)`);
  const rows = database.all(
    `select ${["100", ...sizes].join(" + ")}, ${keys.join(", ")} from ${from} ` +
      `where ${conditionsOf(table)} order by ${keys.join(", ")} limit ${LARGEST_PAGE}`,
    [...(place.keys ?? start)],
  );
  let left = byteBudget;
  let last: Row | undefined;
  for (const row of rows) {
    left -= numberAt(row, 0);
    if (left < 0 && last !== undefined) break;
    last = row;
  }
  return last?.slice(1) as PlaceKey[] | undefined;
}

function conditionsOf({ keys, where }: Table): string {
  const behind = `(${keys.join(", ")}) > (${placesFor(keys)})`;
  return where === undefined ? behind : `${behind} and ${where}`;
}

function placesFor(keys: readonly string[]): string {
  return keys.map(() => "?").join(", ");
}
