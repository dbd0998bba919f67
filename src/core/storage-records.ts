import type { StoredStatus } from "./run-status.js";

/** Topic of a watch in the inbox of the run that is watched. */
export const WATCH_TOPIC = "$watch";

/** `dueAt` of a run that no instant makes due. */
export const NEVER = 9_007_199_254_740_991;

/** One durable instance of a job. */
export interface RunRecord {
  readonly id: string;
  readonly jobId: string;
  readonly version: string;
  readonly status: StoredStatus;
  /** Raised by claim and release and by every write that is not the holder's. */
  readonly epoch: number;
  /** Raised by `reopen`. Starts at 1. */
  readonly generation: number;
  /** The holder, or the last one. */
  readonly workerId: string | null;
  readonly leaseUntil: number | null;
  /** null: final. NEVER: no instant makes it due. While leased: `leaseUntil`. */
  readonly dueAt: number | null;
  readonly deadlineAt: number | null;
  readonly maxDurationMs: number | null;
  readonly priority: number;
  /** `<limit id>/<value>`; a limit id has no "/". */
  readonly limitKeys: readonly string[];
  /** As it was sent. */
  readonly payload: string | null;
  /** As `run` gets it; null until admitted. */
  readonly admitted: string | null;
  readonly output: string | null;
  readonly error: string | null;
  /** Why the run is blocked, while it is (contract E14). */
  readonly blocked: string | null;
  readonly executionCount: number;
  readonly stalls: number;
  /** Highest task seq at the last release or claim over a lapsed lease. */
  readonly lastSeq: number;
  /** Signals and watches ever added. */
  readonly inbox: number;
  readonly tags: readonly string[];
  readonly eventId: string | null;
  readonly parentId: string | null;
  readonly parentPath: string | null;
  readonly idempotencyKey: string | null;
  readonly fingerprint: string | null;
  readonly isTest: boolean;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** Engine data that nobody queries: event, source, account, … */
  readonly meta: string | null;
  /** State of an internal run. */
  readonly state: string | null;
}

export type TaskStatus = "RUNNING" | "WAITING" | "COMPLETED" | "FAILED" | "CANCELED";

/** What is remembered of one task (or wait, child, …): see `kind`. */
export interface TaskRecord {
  readonly path: string;
  readonly seq: number;
  readonly kind: string;
  readonly status: TaskStatus;
  /** Attempts that ended. */
  readonly attempts: number;
  readonly output: string | null;
  readonly error: string | null;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  /** When an open wait or retry is due. */
  readonly wakeAt: number | null;
  /** Engine data: display fields, attempt history, … */
  readonly data: string | null;
  /** Topics an open event wait listens to, and its filter. */
  readonly topics?: readonly string[];
  readonly filter?: string | null;
}

export interface Signal {
  readonly id: string;
  readonly topic: string;
  readonly ref: string | null;
}

/** `ref` of a watch in the target's inbox: the JSON of this. Its signal id is `<watcherId> <signalId>`. */
export interface WatchRef {
  readonly watcherId: string;
  readonly signalId: string;
  readonly topic: string;
}

export interface LogLine {
  /** Unique with (run, epoch): a repeat is ignored. */
  readonly ordinal: number;
  /** Task path and attempt that wrote it; lines are counted by it. */
  readonly stream: string;
  readonly path: string;
  readonly level: string;
  readonly message: string;
  readonly data: string | null;
  readonly at: number;
}

export interface StoredLogLine extends LogLine {
  /** Position in the run's log, ascending. */
  readonly position: number;
  readonly epoch: number;
}

export interface StoredValue {
  readonly value: string;
  readonly version: number;
}
