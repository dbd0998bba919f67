import { isInternal } from "../../core/final.js";
import { NEVER, type RunPatch, type RunWrite } from "../../core/storage.js";
import { dueAtOf, statusChange } from "../../core/stored-run.js";
import { changesRun } from "../../core/write-verdict.js";
import type { SqlValue } from "./driver.js";
import { rankOf } from "./rank.js";
import type { RunHead } from "./run-row.js";
import { packStrings, packTextOrNull } from "./text.js";

type Columns = Map<string, SqlValue>;

/** Columns that are set as they come. The others follow from several things: see `planChange`. */
const plainColumns = {
  version: "version",
  executionCount: "execution_count",
  stalls: "stalls",
  lastSeq: "last_seq",
  deadlineAt: "deadline_at",
  maxDurationMs: "max_duration_ms",
} as const satisfies Partial<Record<keyof RunPatch, string>>;

const textColumns = {
  payload: "payload",
  admitted: "admitted",
  output: "output",
  error: "error",
  blocked: "blocked",
  meta: "meta",
  state: "state",
} as const satisfies Partial<Record<keyof RunPatch, string>>;

export interface RunChange {
  /** Empty if the write leaves the run row as it is. */
  readonly columns: ReadonlyMap<string, SqlValue>;
  readonly leaseRefused: boolean;
}

/** Says what changes in the run row and brings `head` to that state. */
export function planChange(write: RunWrite, head: RunHead, now: number): RunChange {
  const columns: Columns = new Map();
  if (changesRun(write)) {
    applyPatch(write.run ?? {}, head, columns);
    applyStatus(write, head, columns, now);
    columns.set("write_id", write.writeId);
    head.writeId = write.writeId;
  }
  const leaseRefused =
    write.leaseUntil !== undefined && extendLease(write.leaseUntil, head, columns, now);
  if (!changesRun(write) && (write.tasks ?? []).length === 0) {
    columns.set("side_write_id", write.writeId);
    head.sideWriteId = write.writeId;
  }
  return { columns, leaseRefused };
}

function applyPatch(patch: RunPatch, head: RunHead, columns: Columns): void {
  for (const [name, column] of Object.entries(plainColumns)) {
    const value = patch[name as keyof typeof plainColumns];
    if (value !== undefined) columns.set(column, value);
  }
  for (const [name, column] of Object.entries(textColumns)) {
    const value = patch[name as keyof typeof textColumns];
    if (value !== undefined) columns.set(column, packTextOrNull(value));
  }
  if (patch.tags !== undefined) columns.set("tags", packStrings(patch.tags));
  if (patch.limitKeys !== undefined) {
    columns.set("limit_keys", packStrings(patch.limitKeys));
    head.limitKeys = patch.limitKeys;
  }
  if (patch.priority !== undefined) {
    columns.set("priority", patch.priority);
    head.priority = patch.priority;
  }
  if (patch.startedAt !== undefined) {
    columns.set("started_at", patch.startedAt);
    head.startedAt = patch.startedAt;
  }
  if (patch.priority === undefined && patch.startedAt === undefined) return;
  const internal = isInternal(head.jobId);
  head.rank = rankOf({ internal, priority: head.priority, started: head.startedAt !== null });
  columns.set("rank", head.rank);
}

function applyStatus(write: RunWrite, head: RunHead, columns: Columns, now: number): void {
  const { release } = write;
  const { status, epoch, generation, isOver, finishedAt, ...change } = statusChange(
    write,
    head,
    now,
  );
  if (status !== head.status) columns.set("status", status);
  if (epoch !== head.epoch) columns.set("epoch", epoch);
  if (generation !== head.generation) columns.set("generation", generation);
  if (finishedAt !== undefined) columns.set("finished_at", finishedAt);
  if (isOver) columns.set("deadline_at", null);
  head.status = status;
  head.epoch = epoch;
  head.generation = generation;
  if (!change.endsLease) return;
  columns.set("lease_until", null).set("claim_id", null);
  columns.set("kept_by", change.keep ? head.workerId : null);
  head.leaseUntil = null;
  head.wakeAt = isOver ? null : (release?.wakeAt ?? null);
  head.wakeSignals = isOver ? 0 : (release?.wakeSignals ?? 0);
  head.dueAt = NEVER;
  head.dueAt = dueAtOf(head, head, now);
  columns
    .set("wake_at", head.wakeAt)
    .set("wake_signals", head.wakeSignals)
    .set("due_at", head.dueAt);
}

/** Answers true if the lease has lapsed and its slot may have been given away (contract S2). */
function extendLease(until: number, head: RunHead, columns: Columns, now: number): boolean {
  if (head.leaseUntil === null) return false;
  if (head.leaseUntil <= now && head.limitKeys.length > 0) return true;
  if (until <= head.leaseUntil) return false;
  head.leaseUntil = until;
  head.dueAt = until;
  columns.set("lease_until", until).set("due_at", until);
  return false;
}
