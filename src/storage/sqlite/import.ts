import { isInternal } from "../../core/final.js";
import { ownerMissing } from "../../core/items.js";
import type {
  KeyItem,
  LogItem,
  RunItem,
  SignalItem,
  StoredItem,
  TaskItem,
} from "../../core/storage.js";
import type { SqlValue } from "./driver.js";
import { rankOf } from "./rank.js";
import { insertTag } from "./run-insert.js";
import { insertTask, taskValues } from "./task-row.js";
import { firstNumber, packStrings, packText, packTextOrNull } from "./text.js";
import type { Transaction } from "./transaction.js";

/** Column by column, what it gets of a run. */
const runColumns: Readonly<Record<string, (item: RunItem) => SqlValue>> = {
  id: ({ run }) => run.id,
  epoch: ({ run }) => run.epoch,
  status: ({ run }) => run.status,
  inbox: ({ run }) => run.inbox,
  lease_until: ({ run }) => run.leaseUntil,
  limit_keys: ({ run }) => packStrings(run.limitKeys),
  job_id: ({ run }) => run.jobId,
  version: ({ run }) => run.version,
  internal: ({ run }) => (isInternal(run.jobId) ? 1 : 0),
  rank: ({ run: { jobId, priority, startedAt } }) =>
    rankOf({ internal: isInternal(jobId), priority, started: startedAt !== null }),
  due_at: ({ run }) => run.dueAt,
  generation: ({ run }) => run.generation,
  worker_id: ({ run }) => run.workerId,
  wake_at: ({ wakeAt }) => wakeAt,
  wake_signals: ({ wakeSignals }) => wakeSignals,
  unread: ({ unread }) => unread,
  write_id: ({ writeId }) => writeId,
  create_id: ({ createId }) => createId,
  deadline_at: ({ run }) => run.deadlineAt,
  max_duration_ms: ({ run }) => run.maxDurationMs,
  priority: ({ run }) => run.priority,
  execution_count: ({ run }) => run.executionCount,
  stalls: ({ run }) => run.stalls,
  last_seq: ({ run }) => run.lastSeq,
  event_id: ({ run }) => run.eventId,
  parent_id: ({ run }) => run.parentId,
  parent_path: ({ run }) => run.parentPath,
  idempotency_key: ({ run }) => run.idempotencyKey,
  fingerprint: ({ run }) => run.fingerprint,
  is_test: ({ run }) => (run.isTest ? 1 : 0),
  created_at: ({ run }) => run.createdAt,
  started_at: ({ run }) => run.startedAt,
  finished_at: ({ run }) => run.finishedAt,
  tags: ({ run }) => packStrings(run.tags),
  blocked: ({ run }) => packTextOrNull(run.blocked),
  meta: ({ run }) => packTextOrNull(run.meta),
  state: ({ run }) => packTextOrNull(run.state),
  payload: ({ run }) => packTextOrNull(run.payload),
  admitted: ({ run }) => packTextOrNull(run.admitted),
  output: ({ run }) => packTextOrNull(run.output),
  error: ({ run }) => packTextOrNull(run.error),
};

const insertRun =
  `insert or ignore into pawl_runs (${Object.keys(runColumns).join(", ")}) ` +
  `values (${Object.keys(runColumns)
    .map(() => "?")
    .join(", ")})`;

/** All columns of the key that come from its tombstone are there by then. */
const insertKeyOfTombstone =
  "insert or ignore into pawl_keys (job_id, key, run_id, fingerprint, created_at, expires_at, purged_until) " +
  "select ?, ?, id, fingerprint, created_at, ?, until from pawl_tombstones where id = ?";

/** Puts what another store gave into the file, in one transaction. What is there already stays as it is. */
export class Importer {
  readonly #transaction: Transaction;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  import(items: readonly StoredItem[]): void {
    const rows = new Map<string, ImportedRow>();
    for (const item of items) this.#import(item, rows);
    this.#transaction.forgetAll();
    this.#transaction.paths.forgetAll();
  }

  #import(item: StoredItem, rows: Map<string, ImportedRow>): void {
    const { database } = this.#transaction;
    if (item.kind === "value") {
      database.run("insert or ignore into pawl_values (key, version, value) values (?, ?, ?)", [
        item.key,
        item.version,
        packTextOrNull(item.value),
      ]);
    } else if (item.kind === "tombstone") {
      database.run(
        "insert or ignore into pawl_tombstones (id, create_id, fingerprint, created_at, until) values (?, ?, ?, ?, ?)",
        [item.id, item.createId, item.fingerprint, item.createdAt, item.until],
      );
    } else if (item.kind === "key") {
      this.#key(item);
    } else if (item.kind === "run") {
      this.#run(item);
    } else {
      const row = rows.get(item.runId) ?? this.#row(item);
      rows.set(item.runId, row);
      if (item.kind === "task") this.#task(row, item);
      else if (item.kind === "signal") this.#signal(row, item);
      else this.#log(row, item);
    }
  }

  #row({ kind, runId }: TaskItem | SignalItem | LogItem): ImportedRow {
    const { database } = this.#transaction;
    const rk = firstNumber(database.get("select rk from pawl_runs where id = ?", [runId]));
    if (rk === undefined) throw ownerMissing(kind, runId);
    const count = database.get("select count(*) from pawl_signals where rk = ?", [rk]);
    return { rk, signals: firstNumber(count) ?? 0 };
  }

  #run(item: RunItem): void {
    const { database } = this.#transaction;
    const values = Object.values(runColumns).map((cell) => cell(item));
    const rk = database.insert(insertRun, values);
    if (rk === 0) return;
    const { id, jobId, idempotencyKey, fingerprint, createdAt, tags, leaseUntil } = item.run;
    for (const tag of tags) insertTag(database, rk, tag);
    if (leaseUntil !== null) this.#transaction.noteLease();
    if (item.key === null || idempotencyKey === null) return;
    database.run(
      "insert or ignore into pawl_keys (job_id, key, run_id, fingerprint, created_at, expires_at) values (?, ?, ?, ?, ?, ?)",
      [jobId, idempotencyKey, id, fingerprint, createdAt, item.key.expiresAt],
    );
  }

  #key({ jobId, idempotencyKey, runId, expiresAt }: KeyItem): void {
    const { database } = this.#transaction;
    const isThere = database.get("select 1 from pawl_tombstones where id = ?", [runId]);
    if (isThere === undefined) throw ownerMissing("key", runId);
    database.run(insertKeyOfTombstone, [jobId, idempotencyKey, expiresAt, runId]);
  }

  /** Nothing else looks for the path of a record, which has no index: a record is known by its seq. */
  #task({ rk }: ImportedRow, { runId, task, writeId }: TaskItem): void {
    const { database } = this.#transaction;
    if (database.run(insertTask, taskValues(rk, task, writeId)) === 0) return;
    if (task.status !== "WAITING") return;
    for (const topic of task.topics ?? []) {
      database.run(
        "insert or ignore into pawl_topics (topic, run_id, path, rk, seq) values (?, ?, ?, ?, ?)",
        [topic, runId, task.path, rk, task.seq],
      );
    }
  }

  #signal(row: ImportedRow, { signal, isRead }: SignalItem): void {
    const { id, topic, ref } = signal;
    row.signals += this.#transaction.database.run(
      "insert or ignore into pawl_signals (rk, id, position, unread, topic, ref) values (?, ?, ?, ?, ?, ?)",
      [row.rk, id, row.signals + 1, isRead ? 0 : 1, topic, packTextOrNull(ref)],
    );
  }

  #log({ rk }: ImportedRow, { epoch, line }: LogItem): void {
    const { ordinal, at, stream, path, level, message, data } = line;
    this.#transaction.database.run(
      "insert or ignore into pawl_logs (rk, epoch, ordinal, at, stream, path, level, message, data) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      [rk, epoch, ordinal, at, stream, path, level, packText(message), packTextOrNull(data)],
    );
  }
}

/** A run whose parts are coming, and how many signals it has. */
interface ImportedRow {
  readonly rk: number;
  signals: number;
}
