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
import { arrayText, columnText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";
import { Logs } from "./logs.js";
import { insertParameters, insertRuns } from "./run-row.js";
import { insertTasks, taskParameters } from "./task-row.js";

/** Puts what another store gave into the schema, in one transaction. What is there already stays as it is. */
export function importItems(context: Context, items: readonly StoredItem[]): Promise<void> {
  const of = <K extends StoredItem["kind"]>(kind: K) =>
    items.filter((item): item is Extract<StoredItem, { kind: K }> => item.kind === kind);
  return context.driver.transaction(async (session) => {
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
}

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
    await this.#insert(items, "values (key, version, value)", [
      ["text", ({ key }) => key],
      ["bigint", ({ version }) => version],
      ["text", ({ value }) => value],
    ]);
  }

  async tombstones(items: readonly TombstoneItem[]): Promise<void> {
    await this.#insert(
      items,
      "tombstones (id, create_id, fingerprint, created_at, until, job_id)",
      [
        ["text", ({ id }) => id],
        ["text", ({ createId }) => createId],
        ["text", ({ fingerprint }) => fingerprint],
        ["bigint", ({ createdAt }) => createdAt],
        ["bigint", ({ until }) => until],
        // It comes with the key, and is of use with that alone.
        ["text", () => ""],
      ],
    );
  }

  async keys(items: readonly KeyItem[]): Promise<void> {
    if (items.length === 0) return;
    const columns = [
      arrayText(items.map(({ runId }) => runId)),
      arrayText(items.map(({ jobId }) => jobId)),
      arrayText(items.map(({ idempotencyKey }) => idempotencyKey)),
      columnText(items.map(({ expiresAt }) => expiresAt)),
    ];
    const found = await this.#session.query(
      `update ${this.#schema}.tombstones x set job_id = u.job_id, idempotency_key = u.key, key_expires_at = u.expires_at ` +
        "from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as u(id, job_id, key, expires_at) where x.id = u.id returning x.id",
      columns,
    );
    const known = new Set(found.map(([id]) => id));
    const missing = items.find(({ runId }) => !known.has(runId));
    if (missing !== undefined) throw ownerMissing("key", missing.runId);
    await this.#insert(items, "keys (run_id, job_id, key)", [
      ["text", ({ runId }) => runId],
      ["text", ({ jobId }) => jobId],
      ["text", ({ idempotencyKey }) => idempotencyKey],
    ]);
  }

  async runs(items: readonly RunItem[]): Promise<void> {
    if (items.length === 0) return;
    await this.#session.query(insertRuns(this.#schema), insertParameters(items.map(importedRun)));
    const keyed = items.filter(({ key, run }) => key !== null && run.idempotencyKey !== null);
    await this.#insert(keyed, "keys (run_id, job_id, key)", [
      ["text", ({ run }) => run.id],
      ["text", ({ run }) => run.jobId],
      ["text", ({ run }) => run.idempotencyKey],
    ]);
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
    await this.#insert(items, "signals (rk, id, unread, topic, ref)", [
      ["bigint", ({ runId }) => rows.get(runId) ?? null],
      ["text", ({ signal }) => signal.id],
      ["boolean", ({ isRead }) => String(!isRead)],
      ["text", ({ signal }) => signal.topic],
      ["text", ({ signal }) => signal.ref],
    ]);
  }

  async logs(items: readonly LogItem[], rows: Rows): Promise<void> {
    const logs = new Logs();
    for (const { runId, epoch, line } of items) logs.add(rows.get(runId) ?? "", epoch, [line]);
    await logs.store(this.#context, this.#session);
  }

  /** In the given order, which gives those their positions that have one. */
  async #insert<T>(
    items: readonly T[],
    into: string,
    columns: readonly (readonly [type: string, cell: (item: T) => string | number | null])[],
  ): Promise<void> {
    if (items.length === 0) return;
    const names = columns.map((_, index) => `c${index}`);
    const arrays = columns.map(
      ([type], index) => `$${index + 1}::${type === "boolean" ? "text" : type}[]`,
    );
    const cells = columns.map(([type], index) =>
      type === "boolean" ? `u.c${index}::boolean` : `u.c${index}`,
    );
    await this.#session.query(
      `insert into ${this.#schema}.${into} select ${cells.join(", ")} from unnest(${arrays.join(", ")}) ` +
        `with ordinality as u(${names.join(", ")}, place) order by u.place on conflict do nothing`,
      columns.map(([, cell]) => columnText(items.map(cell))),
    );
  }
}
