import { importedRun, ownerMissing } from "../../core/items.js";
import { storedTask } from "../../core/run-tables.js";
import type {
  KeyItem,
  LogItem,
  RunItem,
  SignalItem,
  StoredItem,
  TaskItem,
  TombstoneItem,
  ValueItem,
} from "../../core/storage.js";
import { arrayText } from "./array.js";
import { arrayParametersOf, arraysOf, type Column, cellsOf, namesOf } from "./column.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";
import { Logs } from "./logs.js";
import { insertMissing } from "./new-runs.js";
import { insertTasks, taskParameters } from "./task-row.js";

/** Puts what another store gave into the schema, in one transaction. What is there already stays as it is. */
export async function importItems(context: Context, items: readonly StoredItem[]): Promise<void> {
  const of = <K extends StoredItem["kind"]>(kind: K) =>
    items.filter((item): item is Extract<StoredItem, { kind: K }> => item.kind === kind);
  await context.driver.transaction(async (session) => {
    const importing = new Importing(context, session);
    await importing.values(of("value"));
    await importing.tombstones(of("tombstone"));
    await importing.keys(of("key"));
    await importing.runs(of("run"));
    const tasks = of("task");
    const signals = of("signal");
    const logs = of("log");
    const rows = await importing.rowsOf([...tasks, ...signals, ...logs]);
    await importing.tasks(tasks, rows);
    await importing.signals(signals, rows);
    await importing.logs(logs, rows);
  });
  for (const { runId } of of("task")) context.paths.forget(runId);
}

const valueColumns: readonly Column<ValueItem>[] = [
  { name: "key", type: "text", cell: ({ key }) => key },
  { name: "version", type: "bigint", cell: ({ version }) => version },
  { name: "value", type: "text", cell: ({ value }) => value },
];

const tombstoneColumns: readonly Column<TombstoneItem>[] = [
  { name: "id", type: "text", cell: ({ id }) => id },
  { name: "create_id", type: "text", cell: ({ createId }) => createId },
  { name: "fingerprint", type: "text", cell: ({ fingerprint }) => fingerprint },
  { name: "created_at", type: "bigint", cell: ({ createdAt }) => createdAt },
  { name: "until", type: "bigint", cell: ({ until }) => until },
  // It comes with the key, and is of use with that alone.
  { name: "job_id", type: "text", cell: () => "" },
];

type Keyed = Pick<KeyItem, "runId" | "jobId" | "idempotencyKey">;

const keyColumns: readonly Column<Keyed>[] = [
  { name: "run_id", type: "text", cell: ({ runId }) => runId },
  { name: "job_id", type: "text", cell: ({ jobId }) => jobId },
  { name: "key", type: "text", cell: ({ idempotencyKey }) => idempotencyKey },
];

/** What a key adds to its tombstone. */
const keyOfTombstone: readonly Column<KeyItem>[] = [
  ...keyColumns,
  { name: "expires_at", type: "bigint", cell: ({ expiresAt }) => expiresAt },
];

const signalColumns = (rows: Rows): readonly Column<SignalItem>[] => [
  { name: "rk", type: "bigint", cell: ({ runId }) => rows.get(runId) ?? null },
  { name: "id", type: "text", cell: ({ signal }) => signal.id },
  { name: "unread", type: "boolean", cell: ({ isRead }) => String(!isRead) },
  { name: "topic", type: "text", cell: ({ signal }) => signal.topic },
  { name: "ref", type: "text", cell: ({ signal }) => signal.ref },
];

/** By run id. */
type Rows = ReadonlyMap<string, string>;

class Importing {
  readonly #context: Context;
  readonly #session: Session;
  readonly #schema: string;

  constructor(context: Context, session: Session) {
    this.#context = context;
    this.#session = session;
    this.#schema = context.schema;
  }

  async values(items: readonly ValueItem[]): Promise<void> {
    await this.#insert("values", valueColumns, items);
  }

  async tombstones(items: readonly TombstoneItem[]): Promise<void> {
    await this.#insert("tombstones", tombstoneColumns, items);
  }

  async keys(items: readonly KeyItem[]): Promise<void> {
    if (items.length === 0) return;
    const found = await this.#session.query(
      `update ${this.#schema}.tombstones x set job_id = u.job_id, idempotency_key = u.key, key_expires_at = u.expires_at ` +
        `from unnest(${arraysOf(keyOfTombstone, 1).join(", ")}) as u(${namesOf(keyOfTombstone)}) where x.id = u.run_id returning x.id`,
      arrayParametersOf(keyOfTombstone, items),
    );
    const known = new Set(found.map(([id]) => id));
    const missing = items.find(({ runId }) => !known.has(runId));
    if (missing !== undefined) throw ownerMissing("key", missing.runId);
    await this.#insert("keys", keyColumns, items);
  }

  async runs(items: readonly RunItem[]): Promise<void> {
    const [first, ...others] = items.map(importedRun);
    if (first === undefined) return;
    const { text, parameters } = insertMissing(this.#schema, [first, ...others]);
    await this.#session.query(text, parameters);
    const keyed = items.flatMap(({ key, run: { id: runId, jobId, idempotencyKey } }) =>
      key === null || idempotencyKey === null ? [] : [{ runId, jobId, idempotencyKey }],
    );
    await this.#insert("keys", keyColumns, keyed);
  }

  async rowsOf(items: readonly (TaskItem | SignalItem | LogItem)[]): Promise<Rows> {
    const ids = [...new Set(items.map(({ runId }) => runId))];
    if (ids.length === 0) return new Map();
    const rows = await this.#session.query(
      `select r.id, r.rk::text from ${this.#schema}.runs r where r.id = any($1::text[])`,
      [arrayText(ids)],
    );
    const found = new Map(rows.map(([id, rk]) => [id ?? "", rk ?? ""]));
    const missing = items.find(({ runId }) => !found.has(runId));
    if (missing !== undefined) throw ownerMissing(missing.kind, missing.runId);
    return found;
  }

  async tasks(items: readonly TaskItem[], rows: Rows): Promise<void> {
    if (items.length === 0) return;
    const tasks = items.map(({ runId, task, writeId }) => ({
      rk: rows.get(runId) ?? "",
      task: storedTask(task, writeId),
    }));
    await this.#session.query(
      `${insertTasks(this.#schema)} on conflict do nothing`,
      taskParameters(tasks),
    );
  }

  async signals(items: readonly SignalItem[], rows: Rows): Promise<void> {
    await this.#insert("signals", signalColumns(rows), items);
  }

  async logs(items: readonly LogItem[], rows: Rows): Promise<void> {
    const logs = new Logs();
    for (const { runId, epoch, line } of items) logs.add(rows.get(runId) ?? "", epoch, [line]);
    await logs.store(this.#context, this.#session);
  }

  /** In the given order, which gives those their positions that have one. */
  async #insert<T>(table: string, columns: readonly Column<T>[], items: readonly T[]) {
    if (items.length === 0) return;
    await this.#session.query(
      `insert into ${this.#schema}.${table} (${namesOf(columns)}) select ${cellsOf(columns, "u").join(", ")} ` +
        `from unnest(${arraysOf(columns, 1).join(", ")}) with ordinality as u(${namesOf(columns)}, place) ` +
        "order by u.place on conflict do nothing",
      arrayParametersOf(columns, items),
    );
  }
}
