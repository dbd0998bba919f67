import { isFinal } from "../../core/run-status.js";
import { NEVER, type NewRun } from "../../core/storage.js";
import type { Database } from "./database.js";
import type { SqlValue } from "./driver.js";
import { isInternal, rankOf } from "./rank.js";
import { packStrings, packTextOrNull, RowReader } from "./text.js";
import type { Transaction } from "./transaction.js";

/** Columns that most runs leave empty are named only if they are set: binding a value costs more than a longer text. */
function optionalColumns(run: NewRun): readonly (readonly [string, SqlValue | undefined])[] {
  return [
    ["limit_keys", packStrings(run.limitKeys)],
    ["max_duration_ms", run.maxDurationMs],
    ["event_id", run.eventId],
    ["parent_id", run.parentId],
    ["parent_path", run.parentPath],
    ["idempotency_key", run.idempotencyKey],
    ["fingerprint", run.fingerprint],
    ["tags", packStrings(run.tags)],
    ["meta", packTextOrNull(run.meta)],
    ["state", packTextOrNull(run.state)],
    ["payload", packTextOrNull(run.payload)],
    ["admitted", packTextOrNull(run.admitted)],
    ["output", packTextOrNull(run.output)],
    ["error", packTextOrNull(run.error)],
  ];
}

/** What the row starts with, for each way in which a run can begin. */
function beginning(run: NewRun, now: number): readonly (readonly [string, SqlValue | undefined])[] {
  const final = isFinal(run.status);
  const { lease } = run;
  if (lease !== undefined && !final && (run.limitKeys ?? []).length === 0) {
    const until = now + lease.leaseMs;
    const { maxDurationMs } = run;
    return [
      ["epoch", 1],
      ["status", "EXECUTING"],
      ["lease_until", until],
      ["due_at", until],
      ["worker_id", lease.workerId],
      ["started_at", now],
      ["execution_count", 1],
      [
        "deadline_at",
        maxDurationMs === undefined || maxDurationMs === null ? null : now + maxDurationMs,
      ],
    ];
  }
  return [
    ["epoch", 0],
    ["status", run.status],
    ["wake_at", run.wakeAt],
    ["due_at", final ? null : (run.wakeAt ?? NEVER)],
    ["execution_count", 0],
    ["deadline_at", final ? null : run.deadlineAt],
    ["finished_at", final ? now : null],
  ];
}

/** Answers false if a run with this id exists, and the instant until which the new run is leased. */
export function insertRun(
  transaction: Transaction,
  run: NewRun,
  createId: string | null,
  now: number,
): { readonly leaseUntil: number | null } | undefined {
  const names = [
    "id",
    "job_id",
    "version",
    "internal",
    "rank",
    "priority",
    "is_test",
    "created_at",
  ];
  const internal = isInternal(run.jobId);
  const priority = run.priority ?? 0;
  const start = beginning(run, now);
  const leaseUntil = start.find(([name]) => name === "lease_until")?.[1] ?? null;
  const rank = rankOf({ internal, priority, started: leaseUntil !== null });
  const values: SqlValue[] = [
    run.id,
    run.jobId,
    run.version,
    internal ? 1 : 0,
    rank,
    priority,
    run.isTest ? 1 : 0,
    now,
  ];
  for (const [name, value] of [
    ...start,
    ["create_id", createId] as const,
    ...optionalColumns(run),
  ]) {
    if (value === undefined || value === null) continue;
    names.push(name);
    values.push(value);
  }
  const { database } = transaction;
  const sql =
    `insert or ignore into pawl_runs (inbox, generation, wake_signals, unread, stalls, last_seq, ${names.join(", ")}) ` +
    `values (0, 1, 0, 0, 0, 0${", ?".repeat(names.length)})`;
  if (database.run(sql, values) === 0) return undefined;
  if (run.tags !== undefined && run.tags.length > 0) insertTags(transaction, run.id, run.tags);
  if (leaseUntil !== null) transaction.noteLease();
  return { leaseUntil: leaseUntil as number | null };
}

function insertTags(transaction: Transaction, runId: string, tags: readonly string[]): void {
  for (const tag of new Set(tags)) {
    transaction.database.run(
      "insert or ignore into pawl_tags (tag, rk) select ?, rk from pawl_runs where id = ?",
      [tag, runId],
    );
  }
}

/** The index of tags is by tag, so a run's tags are told by its row. */
export function deleteTags(database: Database, rk: number): void {
  const row = database.get("select tags from pawl_runs where rk = ?", [rk]);
  if (row === undefined) return;
  for (const tag of new RowReader(row).strings()) {
    database.run("delete from pawl_tags where tag = ? and rk = ?", [tag, rk]);
  }
}
