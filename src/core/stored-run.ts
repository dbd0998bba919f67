import { isFinal, type StoredStatus } from "./run-status.js";
import { NEVER, type NewRun, type RunRecord, type RunWrite, WATCH_TOPIC } from "./storage.js";
import { changesRun, hasRecordsOnly } from "./write-verdict.js";

/**
 * A run as an adapter keeps it: the record that it answers, and what only the
 * store looks at. It is never changed: each `after…` function answers the next
 * one, for the adapter to put in its place.
 */
export interface StoredRun {
  readonly run: RunRecord;
  /** Of the element that made it; null if another run did. */
  readonly createId: string | null;
  /** When its idempotency key is free again; null: never. */
  readonly keyExpiresAt: number | null;
  /** Of the last write that was more than task records (S4). */
  readonly writeId: string | null;
  /** The claim that it is held by, so that the claim can be repeated. */
  readonly claim: { readonly id: string; readonly kept: boolean } | null;
  /** What makes it due while nobody holds it (S8). */
  readonly wakeAt: number | null;
  readonly wakeSignals: number;
  /** Signals that are not read yet, watches left out. */
  readonly unread: number;
  /** The last holder has the execution in memory. */
  readonly keep: boolean;
}

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
  const { lease, limitKeys = [], maxDurationMs, status } = run;
  const none = {
    leaseUntil: null,
    workerId: null,
    startedAt: null,
    finishedAt: null,
    deadlineAt: null,
  };
  if (isFinal(status)) return { ...none, epoch: 0, status, dueAt: null, finishedAt: now };
  if (lease === undefined || limitKeys.length > 0) {
    return {
      ...none,
      epoch: 0,
      status,
      dueAt: run.wakeAt ?? NEVER,
      deadlineAt: run.deadlineAt ?? null,
    };
  }
  const until = now + lease.leaseMs;
  const deadlineAt =
    maxDurationMs === undefined || maxDurationMs === null ? null : now + maxDurationMs;
  const held = { dueAt: until, leaseUntil: until, workerId: lease.workerId };
  return { ...none, ...held, epoch: 1, status: "EXECUTING", startedAt: now, deadlineAt };
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
function distinct(list: readonly string[] | undefined): readonly string[] {
  if (list === undefined || list.length === 0) return none;
  return Object.freeze(list.length === 1 ? [...list] : [...new Set(list)]);
}

/** What an adapter stores for a run that is made now. */
export function newStoredRun(run: NewRun, createId: string | null, now: number): StoredRun {
  return {
    run: newRunRecord(run, now),
    createId,
    keyExpiresAt: run.idempotencyExpiresAt ?? null,
    writeId: null,
    claim: null,
    wakeAt: run.wakeAt ?? null,
    // A run that has not started yet is not hurried by signals.
    wakeSignals: 0,
    unread: 0,
    keep: false,
  };
}

/**
 * When the run is due (S8): null if it is over, the end of its lease while
 * somebody holds it. Once due it stays due, at the instant it became so.
 */
export function dueAtOf(
  run: Pick<RunRecord, "status" | "leaseUntil" | "dueAt">,
  wake: Pick<StoredRun, "wakeAt" | "wakeSignals" | "unread">,
  now: number,
): number | null {
  if (isFinal(run.status)) return null;
  if (run.leaseUntil !== null) return run.leaseUntil;
  const timed = wake.wakeAt ?? NEVER;
  const called = wake.wakeSignals > 0 && wake.unread >= wake.wakeSignals;
  return called ? Math.min(timed, run.dueAt ?? NEVER, now) : timed;
}

/** Who takes a run, and what the store knows of it. */
interface Taking {
  readonly workerId: string;
  readonly leaseMs: number;
  readonly kept: boolean;
  /** The run's highest task seq; looked at only after a lapsed lease. */
  readonly highestSeq: number;
}

/** The record of a run that a claim takes: see `ClaimRequest`. */
export function claimedRecord(run: RunRecord, taking: Taking, now: number): RunRecord {
  const leaseUntil = now + taking.leaseMs;
  const ownDeadline = run.maxDurationMs === null ? null : now + run.maxDurationMs;
  return {
    ...run,
    ...(run.leaseUntil === null ? undefined : stallsOf(run, taking.highestSeq)),
    status: "EXECUTING",
    epoch: run.epoch + 1,
    workerId: taking.workerId,
    leaseUntil,
    dueAt: leaseUntil,
    startedAt: run.startedAt ?? now,
    deadlineAt: run.startedAt === null ? ownDeadline : run.deadlineAt,
    executionCount: run.executionCount + (taking.kept ? 0 : 1),
  };
}

/** The last holder did not come back: has it recorded anything (contract E10)? */
function stallsOf(run: RunRecord, highestSeq: number): Pick<RunRecord, "stalls" | "lastSeq"> {
  return { stalls: highestSeq > run.lastSeq ? 0 : run.stalls + 1, lastSeq: highestSeq };
}

/** A run that is due, taken by a claim (S6, S11). */
export function afterClaim(
  stored: StoredRun,
  by: { readonly claimId: string; readonly workerId: string; readonly leaseMs: number },
  highestSeq: number,
  now: number,
): StoredRun {
  const { claimId: id, workerId, leaseMs } = by;
  const kept = stored.keep && stored.run.workerId === workerId;
  const run = claimedRecord(stored.run, { workerId, leaseMs, kept, highestSeq }, now);
  return { ...stored, run, claim: { id, kept }, keep: false };
}

/** The run has got a signal that it did not have yet (S9). */
export function afterSignal(stored: StoredRun, topic: string, now: number): StoredRun {
  const unread = stored.unread + (topic === WATCH_TOPIC ? 0 : 1);
  const dueAt = dueAtOf(stored.run, { ...stored, unread }, now);
  return { ...stored, unread, run: { ...stored.run, dueAt, inbox: stored.run.inbox + 1 } };
}

/**
 * The run after a write that may be applied (see `commitVerdict`), of which
 * `signalsRead` names so many unread signals. `leaseRefused`: the lease could
 * not be extended (S2), the rest counts.
 */
export function afterWrite(
  stored: StoredRun,
  write: RunWrite,
  signalsRead: number,
  now: number,
): { readonly stored: StoredRun; readonly leaseRefused?: true } {
  if (hasRecordsOnly(write)) return { stored };
  const { writeId, leaseUntil } = write;
  const read = { ...stored, writeId, unread: stored.unread - signalsRead };
  const next = changesRun(write) ? changed(read, write, now) : read;
  const held = next.run.leaseUntil;
  if (leaseUntil === undefined || held === null) return { stored: next };
  if (held <= now && next.run.limitKeys.length > 0) return { stored: next, leaseRefused: true };
  const until = Math.max(held, leaseUntil);
  const run = { ...next.run, leaseUntil: until, dueAt: until };
  return { stored: { ...next, run } };
}

function changed(stored: StoredRun, write: RunWrite, now: number): StoredRun {
  const { release } = write;
  const record = patched(stored.run, write, now);
  const isHeld = record.leaseUntil !== null;
  const kept = write.guard.epoch !== undefined && !isFinal(stored.run.status);
  const next = {
    ...stored,
    ...(release && { wakeAt: release.wakeAt, wakeSignals: release.wakeSignals }),
    claim: isHeld ? stored.claim : null,
    keep: kept && release?.keep === true,
  };
  const dueAt = dueAtOf(isHeld ? record : { ...record, dueAt: NEVER }, next, now);
  return { ...next, run: { ...record, dueAt } };
}

function patched(run: RunRecord, { guard, run: patch = {}, release }: RunWrite, now: number) {
  const wasFinal = isFinal(run.status);
  const next = { ...run, ...defined(patch) };
  const isOver = isFinal(next.status);
  const isTaken = guard.epoch === undefined || wasFinal || release !== undefined;
  if (patch.limitKeys !== undefined) next.limitKeys = distinct(patch.limitKeys);
  if (patch.tags !== undefined) next.tags = distinct(patch.tags);
  if (isOver || wasFinal) next.finishedAt = patch.finishedAt ?? (isOver ? now : null);
  if (isOver) next.deadlineAt = null;
  if (isTaken) next.epoch += 1;
  if (wasFinal) next.generation += 1;
  if (isTaken || isOver) next.leaseUntil = null;
  return next;
}

/** The columns that are to be set: a name may be there without a value. */
function defined<T extends object>(patch: T): T {
  const entries = Object.entries(patch).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as T;
}
