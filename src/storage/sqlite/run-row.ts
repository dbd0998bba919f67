import type { StoredStatus } from "../../core/run-status.js";
import type { RunRecord } from "../../core/storage.js";
import type { Row } from "./driver.js";
import { RowReader } from "./text.js";

/** The part of a run row that decides about a write, as it is at this point of the transaction. */
export interface RunHead {
  readonly rk: number;
  readonly id: string;
  epoch: number;
  status: StoredStatus;
  inbox: number;
  leaseUntil: number | null;
  limitKeys: readonly string[];
  readonly jobId: string;
  rank: number;
  dueAt: number | null;
  generation: number;
  workerId: string | null;
  wakeAt: number | null;
  wakeSignals: number;
  unread: number;
  writeId: string | null;
  sideWriteId: string | null;
  priority: number;
  startedAt: number | null;
}

export const headColumns =
  "rk, id, epoch, status, inbox, lease_until, limit_keys, job_id, rank, due_at, generation, worker_id, " +
  "wake_at, wake_signals, unread, write_id, side_write_id, priority, started_at";

export function headOf(row: Row): RunHead {
  const read = new RowReader(row);
  return {
    rk: read.number(),
    id: read.string(),
    epoch: read.number(),
    status: read.string() as StoredStatus,
    inbox: read.number(),
    leaseUntil: read.numberOrNull(),
    limitKeys: read.strings(),
    jobId: read.string(),
    rank: read.number(),
    dueAt: read.numberOrNull(),
    generation: read.number(),
    workerId: read.stringOrNull(),
    wakeAt: read.numberOrNull(),
    wakeSignals: read.number(),
    unread: read.number(),
    writeId: read.stringOrNull(),
    sideWriteId: read.stringOrNull(),
    priority: read.number(),
    startedAt: read.numberOrNull(),
  };
}

/** The head of a run that was just given to a holder: how it is woken matters again only after its release. */
export function headOfLeased(
  rk: number,
  run: RunRecord,
  rest: { rank: number; unread: number; writeId: string | null; sideWriteId: string | null },
): RunHead {
  const {
    id,
    epoch,
    status,
    inbox,
    leaseUntil,
    limitKeys,
    jobId,
    dueAt,
    generation,
    workerId,
    priority,
    startedAt,
  } = run;
  const held = {
    epoch,
    status,
    inbox,
    leaseUntil,
    limitKeys,
    dueAt,
    generation,
    workerId,
    priority,
    startedAt,
  };
  return { rk, id, jobId, ...held, ...rest, wakeAt: null, wakeSignals: 0 };
}

/** One JSON text, in the order in which `recordOf` reads it: drivers fetch each value of a row by itself. */
export const recordJson =
  "json_array(id, job_id, version, status, epoch, generation, worker_id, lease_until, due_at, deadline_at, max_duration_ms, " +
  "priority, limit_keys, payload, admitted, output, error, blocked, execution_count, stalls, last_seq, inbox, tags, " +
  "event_id, parent_id, parent_path, idempotency_key, fingerprint, is_test, created_at, started_at, finished_at, meta, state)";

export function recordOf(json: string): RunRecord {
  const read = new RowReader(JSON.parse(json) as Row);
  return {
    id: read.string(),
    jobId: read.string(),
    version: read.string(),
    status: read.string() as StoredStatus,
    epoch: read.number(),
    generation: read.number(),
    workerId: read.stringOrNull(),
    leaseUntil: read.numberOrNull(),
    dueAt: read.numberOrNull(),
    deadlineAt: read.numberOrNull(),
    maxDurationMs: read.numberOrNull(),
    priority: read.number(),
    limitKeys: read.strings(),
    payload: read.textOrNull(),
    admitted: read.textOrNull(),
    output: read.textOrNull(),
    error: read.textOrNull(),
    blocked: read.textOrNull(),
    executionCount: read.number(),
    stalls: read.number(),
    lastSeq: read.number(),
    inbox: read.number(),
    tags: read.strings(),
    eventId: read.stringOrNull(),
    parentId: read.stringOrNull(),
    parentPath: read.stringOrNull(),
    idempotencyKey: read.stringOrNull(),
    fingerprint: read.stringOrNull(),
    isTest: read.number() === 1,
    createdAt: read.number(),
    startedAt: read.numberOrNull(),
    finishedAt: read.numberOrNull(),
    meta: read.textOrNull(),
    state: read.textOrNull(),
  };
}
