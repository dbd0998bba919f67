import { isInternal } from "../../core/final.js";
import { type Beginning, beginningOf } from "../../core/new-run.js";
import type { NewRun } from "../../core/storage.js";
import type { Database } from "./database.js";
import type { SqlValue } from "./driver.js";
import { rankOf } from "./rank.js";
import { packStrings, packTextOrNull, RowReader } from "./text.js";
import type { Transaction } from "./transaction.js";

const requiredColumns = [
  "id",
  "job_id",
  "version",
  "status",
  "rank",
  "priority",
  "created_at",
  "epoch",
];

const optionalColumns = [
  "create_id",
  "due_at",
  "lease_until",
  "worker_id",
  "started_at",
  "finished_at",
  "deadline_at",
  "wake_at",
  "max_duration_ms",
  "limit_keys",
  "tags",
  "event_id",
  "parent_id",
  "parent_path",
  "idempotency_key",
  "fingerprint",
  "meta",
  "state",
  "payload",
  "admitted",
  "output",
  "error",
];

function optionalValues(
  run: NewRun,
  start: Beginning,
  createId: string | null,
): (SqlValue | undefined)[] {
  return [
    createId,
    start.dueAt,
    start.leaseUntil,
    start.workerId,
    start.startedAt,
    start.finishedAt,
    start.deadlineAt,
    start.leaseUntil === null ? run.wakeAt : null,
    run.maxDurationMs,
    packStrings(run.limitKeys),
    packStrings(run.tags),
    run.eventId,
    run.parentId,
    run.parentPath,
    run.idempotencyKey,
    run.fingerprint,
    packTextOrNull(run.meta),
    packTextOrNull(run.state),
    packTextOrNull(run.payload),
    packTextOrNull(run.admitted),
    packTextOrNull(run.output),
    packTextOrNull(run.error),
  ];
}

export interface InsertedRun {
  readonly createdAt: number;
  readonly leaseUntil: number | null;
}

/** Inserts runs with one statement each, which also sees to it that their ids are new. */
export class RunInserter {
  readonly #transaction: Transaction;
  /** By the set of optional columns: each value that need not be bound makes it faster. */
  readonly #statements = new Map<number, string>();

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  /** Undefined if there is or was a run with this id. */
  insert(run: NewRun, createId: string | null): InsertedRun | undefined {
    const now = this.#transaction.creationTime();
    const start = beginningOf(run, now);
    const internal = isInternal(run.jobId);
    const priority = run.priority ?? 0;
    const rank = rankOf({ internal, priority, started: start.startedAt !== null });
    const values: SqlValue[] = [
      run.id,
      run.jobId,
      run.version,
      start.status,
      rank,
      priority,
      now,
      start.epoch,
    ];
    let shape = (internal ? 1 : 0) + (run.isTest ? 2 : 0);
    let bit = 4;
    for (const value of optionalValues(run, start, createId)) {
      if (value !== undefined && value !== null) {
        values.push(value);
        shape += bit;
      }
      bit *= 2;
    }
    values.push(run.id);
    const rk = this.#transaction.database.insert(this.#statement(shape), values);
    if (rk === 0) return undefined;
    for (const tag of run.tags ?? []) insertTag(this.#transaction.database, rk, tag);
    if (start.leaseUntil !== null) this.#knowLeased(rk, run, start, rank);
    return { createdAt: now, leaseUntil: start.leaseUntil };
  }

  /** The next that comes are its tasks, which then need not read it. */
  #knowLeased(rk: number, run: NewRun, start: Beginning, rank: number): void {
    const { id, jobId, priority = 0 } = run;
    const { epoch, status, leaseUntil, dueAt, workerId, startedAt } = start;
    const held = { epoch, status, leaseUntil, dueAt, workerId, startedAt };
    const fresh = {
      inbox: 0,
      unread: 0,
      generation: 1,
      wakeAt: null,
      wakeSignals: 0,
      limitKeys: [],
    };
    this.#transaction.know({
      rk,
      id,
      jobId,
      priority,
      rank,
      ...held,
      ...fresh,
      writeId: null,
      sideWriteId: null,
    });
    this.#transaction.paths.startsEmpty(id, rk);
    this.#transaction.noteLease();
  }

  #statement(shape: number): string {
    let sql = this.#statements.get(shape);
    if (sql !== undefined) return sql;
    const present = optionalColumns.filter(
      (_, index) => Math.floor(shape / 2 ** (index + 2)) % 2 === 1,
    );
    const columns = [...requiredColumns, ...present];
    sql =
      `insert or ignore into pawl_runs (${columns.join(", ")}, execution_count, internal, is_test, ` +
      "inbox, generation, wake_signals, unread, stalls, last_seq) " +
      `select ${columns.map(() => "?").join(", ")}, ${present.includes("lease_until") ? 1 : 0}, ${shape % 2}, ` +
      `${Math.floor(shape / 2) % 2}, 0, 1, 0, 0, 0, 0 where not exists (select 1 from pawl_tombstones where id = ?)`;
    this.#statements.set(shape, sql);
    return sql;
  }
}

export function insertTag(database: Database, rk: number, tag: string): void {
  database.run("insert or ignore into pawl_tags (tag, rk) values (?, ?)", [tag, rk]);
}

/** The index of tags is by tag, so a run's tags are told by its row. */
export function deleteTags(database: Database, rk: number): void {
  const row = database.get("select tags from pawl_runs where rk = ?", [rk]);
  if (row === undefined) return;
  for (const tag of new RowReader(row).strings()) {
    database.run("delete from pawl_tags where tag = ? and rk = ?", [tag, rk]);
  }
}
