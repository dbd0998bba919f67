import { isFinal, type StoredStatus } from "./run-status.js";
import { NEVER, type NewRun, type RunRecord } from "./storage.js";

/** How a run begins: for somebody's claim, in its creator's hands, or over at once. */
export interface Beginning {
  readonly epoch: 0 | 1;
  readonly status: StoredStatus;
  readonly dueAt: number | null;
  readonly leaseUntil: number | null;
  readonly workerId: string | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly deadlineAt: number | null;
}

/** A run with a limit key is never created leased: its slot is decided by a claim (S7). */
export function beginningOf(run: NewRun, now: number): Beginning {
  if (isFinal(run.status)) return beginningUnheld(run, null, null, now);
  if (run.lease === undefined || (run.limitKeys?.length ?? 0) > 0)
    return beginningUnheld(run, run.wakeAt ?? NEVER, run.deadlineAt ?? null, null);
  const { workerId, leaseMs } = run.lease;
  const maxDurationMs = run.maxDurationMs ?? null;
  return {
    epoch: 1,
    status: "EXECUTING",
    dueAt: now + leaseMs,
    leaseUntil: now + leaseMs,
    workerId,
    startedAt: now,
    finishedAt: null,
    deadlineAt: maxDurationMs === null ? null : now + maxDurationMs,
  };
}

function beginningUnheld(
  { status }: NewRun,
  dueAt: number | null,
  deadlineAt: number | null,
  finishedAt: number | null,
): Beginning {
  return {
    epoch: 0,
    status,
    dueAt,
    leaseUntil: null,
    workerId: null,
    startedAt: null,
    finishedAt,
    deadlineAt,
  };
}

/** The lease that a run was created with, whatever became of it. */
export function leaseAtCreation(run: NewRun, createdAt: number): number | null {
  return beginningOf(run, createdAt).leaseUntil;
}

/** The record of a run that is made now, held by its creator if it asks for a lease and may have one. */
export function newRunRecord(run: NewRun, now: number): RunRecord {
  const start = beginningOf(run, now);
  return {
    id: run.id,
    jobId: run.jobId,
    version: run.version,
    status: start.status,
    epoch: start.epoch,
    generation: 1,
    workerId: start.workerId,
    leaseUntil: start.leaseUntil,
    dueAt: start.dueAt,
    deadlineAt: start.deadlineAt,
    maxDurationMs: run.maxDurationMs ?? null,
    priority: run.priority ?? 0,
    limitKeys: distinct(run.limitKeys),
    payload: run.payload,
    admitted: run.admitted ?? null,
    output: run.output ?? null,
    error: run.error ?? null,
    blocked: null,
    executionCount: start.epoch,
    stalls: 0,
    lastSeq: 0,
    inbox: 0,
    tags: distinct(run.tags),
    eventId: run.eventId ?? null,
    parentId: run.parentId ?? null,
    parentPath: run.parentPath ?? null,
    idempotencyKey: run.idempotencyKey ?? null,
    fingerprint: run.fingerprint ?? null,
    isTest: run.isTest ?? false,
    createdAt: now,
    startedAt: start.startedAt,
    finishedAt: start.finishedAt,
    meta: run.meta ?? null,
    state: run.state ?? null,
  };
}

const none: readonly string[] = Object.freeze([]);

/** A copy that nobody changes: records are handed out. */
export function distinct(list: readonly string[] | undefined): readonly string[] {
  if (list === undefined || list.length === 0) return none;
  return Object.freeze(list.length === 1 ? [...list] : [...new Set(list)]);
}
