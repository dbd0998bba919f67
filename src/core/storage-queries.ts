import type { RunStatus } from "./run-status.js";
import type { RunRecord, TaskRecord } from "./storage-records.js";

export interface WaitingPage {
  readonly after?: { readonly runId: string; readonly path: string };
  readonly limit: number;
}

export interface WaitingTask {
  readonly runId: string;
  readonly jobId: string;
  readonly createdAt: number;
  readonly task: TaskRecord;
}

export interface RunQuery {
  readonly jobIds?: readonly string[];
  /** As displayed: QUEUED included. */
  readonly statuses?: readonly RunStatus[];
  readonly tag?: string;
  readonly eventId?: string;
  readonly parentId?: string;
  readonly blocked?: boolean;
  /** Internal runs (`$event`, …) are left out unless true. */
  readonly internal?: boolean;
  /** Inclusive. */
  readonly createdFrom?: number;
  /** Exclusive. */
  readonly createdTo?: number;
  readonly cursor?: string;
  readonly limit: number;
}

export interface RunPage {
  readonly runs: readonly RunRecord[];
  readonly nextCursor?: string;
}

export interface PurgeQuery {
  readonly finishedBefore: number;
  readonly dedupeUntil: number;
  readonly limit: number;
}
