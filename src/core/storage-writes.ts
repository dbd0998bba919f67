import type { StoredStatus } from "./run-status.js";
import type { LogLine, Signal, TaskRecord } from "./storage-records.js";

/** A run to be made. `wakeAt` null: no instant makes it due. */
export interface NewRun {
  readonly id: string;
  readonly jobId: string;
  readonly version: string;
  /** A final status makes a run that is over at once (an invalid payload, a delivered event). */
  readonly status: StoredStatus;
  readonly wakeAt: number | null;
  readonly payload: string | null;
  readonly admitted?: string | null;
  readonly output?: string | null;
  readonly error?: string | null;
  readonly priority?: number;
  readonly limitKeys?: readonly string[];
  readonly tags?: readonly string[];
  readonly deadlineAt?: number | null;
  readonly maxDurationMs?: number | null;
  readonly eventId?: string | null;
  readonly parentId?: string | null;
  readonly parentPath?: string | null;
  readonly idempotencyKey?: string | null;
  /** When the idempotency key may be used for a new run; undefined: never. */
  readonly idempotencyExpiresAt?: number | null;
  readonly fingerprint?: string | null;
  readonly isTest?: boolean;
  readonly meta?: string | null;
  readonly state?: string | null;
  /** Created as held by this worker and EXECUTING, with epoch 1. */
  readonly lease?: { readonly workerId: string; readonly leaseMs: number };
}

export interface TaskWrite extends TaskRecord {
  /** The seq of the record with this path that this one replaces (S3). */
  readonly replaces?: number;
}

export interface NewSignal extends Signal {
  readonly runId: string;
}

/** Asks that `signal` be sent to the writing run when `targetId` ends. */
export interface Watch {
  readonly targetId: string;
  readonly signalId: string;
  readonly topic: string;
}

export interface ValueWrite {
  readonly key: string;
  /** null deletes. */
  readonly value: string | null;
  readonly expected?: number;
}

export interface RunGuard {
  /** Present: the holder writes. Absent: an outsider, whose write raises the epoch and ends the lease. */
  readonly epoch?: number;
  readonly statuses?: readonly StoredStatus[];
  readonly inbox?: number;
  /** For an outsider whose repeated write must not meet the run after somebody has reopened it. */
  readonly generation?: number;
}

/** Columns of the run to set; what is left out stays. */
export interface RunPatch {
  readonly status?: StoredStatus;
  readonly version?: string;
  readonly priority?: number;
  readonly limitKeys?: readonly string[];
  readonly tags?: readonly string[];
  readonly payload?: string | null;
  readonly admitted?: string | null;
  readonly output?: string | null;
  readonly error?: string | null;
  readonly blocked?: string | null;
  readonly executionCount?: number;
  readonly stalls?: number;
  readonly lastSeq?: number;
  readonly deadlineAt?: number | null;
  readonly maxDurationMs?: number | null;
  readonly startedAt?: number | null;
  readonly finishedAt?: number | null;
  readonly meta?: string | null;
  readonly state?: string | null;
}

/** Gives the lease back and says what makes the run due again (S8). */
export interface Release {
  /** null: no instant does. */
  readonly wakeAt: number | null;
  readonly wakeSignals: number;
  /** The worker keeps the execution in memory. */
  readonly keep?: boolean;
}

/**
 * All that one decision changes, durable together or not at all.
 *
 * A write whose `run.status` is final ends the lease, the deadline and `dueAt`
 * by itself. An outsider's write (no `guard.epoch`) that leaves the run open
 * needs a `release`, which says when it is due again; one that has neither
 * `run` nor `release` (signals, watches, values only) leaves epoch and lease.
 */
export interface RunWrite {
  readonly runId: string;
  readonly writeId: string;
  readonly guard: RunGuard;
  readonly tasks?: readonly TaskWrite[];
  readonly run?: RunPatch;
  readonly signalsRead?: readonly string[];
  readonly signals?: readonly NewSignal[];
  readonly watches?: readonly Watch[];
  /** Idempotent on id. Never with idempotency keys, never leased. */
  readonly runs?: readonly NewRun[];
  readonly logs?: readonly LogLine[];
  /** A comparison that fails makes the whole element a `conflict`. */
  readonly values?: readonly ValueWrite[];
  /** Extends the lease to this instant; never shortens it. */
  readonly leaseUntil?: number;
  readonly release?: Release;
  /** Lets the write change a final run; raises the generation (S3). */
  readonly reopen?: boolean;
}

/**
 * In the order in which they are decided: `missing`, `ok` for a repeated
 * writeId, `final` (the run is over and the write does not reopen it),
 * `fenced`, `conflict`, `rejected`, `ok`. `busy`: somebody holds the row at
 * this moment, nothing was decided, send it again.
 */
export type CommitOutcome =
  | "ok"
  | "fenced"
  | "conflict"
  | "final"
  | "missing"
  | "busy"
  | "rejected";

export interface CommitResult {
  readonly result: CommitOutcome;
  /** The run's state after the call. 0, "PENDING" and 0 for a missing run. */
  readonly epoch: number;
  readonly status: StoredStatus;
  readonly inbox: number;
  readonly leaseUntil: number | null;
  /** The lease had lapsed and could not be extended (S2). */
  readonly leaseRefused?: boolean;
  readonly pending?: boolean;
  readonly reason?: string;
  readonly cause?: unknown;
}
