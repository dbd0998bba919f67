import { distinct, newRunRecord } from "./new-run.js";
import { isFinal, type StoredStatus } from "./run-status.js";
import {
  NEVER,
  type NewRun,
  type RunPatch,
  type RunRecord,
  type RunWrite,
  WATCH_TOPIC,
} from "./storage.js";
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

/** What a write that changes a run does to its status, its holder and its end. */
interface StatusChange {
  readonly status: StoredStatus;
  readonly epoch: number;
  readonly generation: number;
  readonly isOver: boolean;
  readonly endsLease: boolean;
  /** undefined: as it was. */
  readonly finishedAt: number | null | undefined;
  /** The holder, who gives the run back, has it in memory. */
  readonly keep: boolean;
}

/** Each change of holder raises the epoch (S6), and so does a write that is not the holder's. */
export function statusChange(
  { guard, run: patch, release }: RunWrite,
  run: Pick<RunRecord, "status" | "epoch" | "generation">,
  now: number,
): StatusChange {
  const status = patch?.status ?? run.status;
  const wasOver = isFinal(run.status);
  const isOver = isFinal(status);
  const byHolder = guard.epoch !== undefined && !wasOver;
  const changesHolder = !byHolder || release !== undefined;
  const reopenedAt = wasOver ? null : undefined;
  return {
    status,
    epoch: run.epoch + (changesHolder ? 1 : 0),
    generation: run.generation + (wasOver ? 1 : 0),
    isOver,
    endsLease: changesHolder || isOver,
    finishedAt: patch?.finishedAt ?? (isOver ? now : reopenedAt),
    keep: byHolder && !isOver && release?.keep === true,
  };
}

function changed(stored: StoredRun, write: RunWrite, now: number): StoredRun {
  const { release } = write;
  const change = statusChange(write, stored.run, now);
  const run = patched(stored.run, write.run ?? {}, change);
  const next = {
    ...stored,
    run,
    claim: change.endsLease ? null : stored.claim,
    wakeAt: release === undefined ? stored.wakeAt : release.wakeAt,
    wakeSignals: release === undefined ? stored.wakeSignals : release.wakeSignals,
    keep: change.keep,
  };
  run.dueAt = dueAtOf(run, next, now);
  return next;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** All but when it is due. */
function patched(run: RunRecord, patch: RunPatch, change: StatusChange): Mutable<RunRecord> {
  const next = withColumns(run, patch);
  next.epoch = change.epoch;
  next.generation = change.generation;
  if (change.finishedAt !== undefined) next.finishedAt = change.finishedAt;
  if (change.isOver) next.deadlineAt = null;
  if (!change.endsLease) return next;
  next.leaseUntil = null;
  next.dueAt = NEVER;
  return next;
}

/** Column by column: a loop over names would be several times slower. */
function withColumns(run: RunRecord, patch: RunPatch): Mutable<RunRecord> {
  const { limitKeys, tags } = patch;
  return {
    ...run,
    status: given(patch.status, run.status),
    version: given(patch.version, run.version),
    priority: given(patch.priority, run.priority),
    limitKeys: limitKeys === undefined ? run.limitKeys : distinct(limitKeys),
    tags: tags === undefined ? run.tags : distinct(tags),
    payload: given(patch.payload, run.payload),
    admitted: given(patch.admitted, run.admitted),
    output: given(patch.output, run.output),
    error: given(patch.error, run.error),
    blocked: given(patch.blocked, run.blocked),
    executionCount: given(patch.executionCount, run.executionCount),
    stalls: given(patch.stalls, run.stalls),
    lastSeq: given(patch.lastSeq, run.lastSeq),
    deadlineAt: given(patch.deadlineAt, run.deadlineAt),
    maxDurationMs: given(patch.maxDurationMs, run.maxDurationMs),
    startedAt: given(patch.startedAt, run.startedAt),
    meta: given(patch.meta, run.meta),
    state: given(patch.state, run.state),
  };
}

function given<T>(value: T | undefined, old: T): T {
  return value === undefined ? old : value;
}
