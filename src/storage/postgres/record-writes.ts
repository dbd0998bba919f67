import type { CommitResult, RunWrite, TaskWrite } from "../../core/storage.js";
import { hasRecordsOnly } from "../../core/write-verdict.js";
import { isJoinable } from "./column.js";
import type { Lease } from "./held-runs.js";
import { isJoinableLine } from "./logs.js";
import { isJoinableTask } from "./task-row.js";

/**
 * Writes that only add task records, and log lines with them, which is what
 * most are. They need no look before they are written: one statement checks the
 * guard, holds the run row (contract S2) and inserts, so it is one message and
 * one flush.
 */
export interface RecordWrite extends RunWrite {
  readonly guard: { readonly epoch: number };
  readonly tasks: readonly [TaskWrite, ...TaskWrite[]];
}

export function isRecordWrite(write: RunWrite): write is RecordWrite {
  const { guard, tasks = [] } = write;
  return (
    hasRecordsOnly(write) &&
    guard.epoch !== undefined &&
    guard.statuses === undefined &&
    guard.inbox === undefined &&
    tasks.every(({ replaces }) => replaces === undefined)
  );
}

/** They travel together with others in few parameters. */
export function isJoinableWrite({ runId, writeId, tasks, logs = [] }: RecordWrite): boolean {
  return (
    isJoinable(runId) &&
    isJoinable(writeId) &&
    tasks.every(isJoinableTask) &&
    logs.every(isJoinableLine)
  );
}

/** What is answered if it was stored. */
export function answerOf({ epoch, inbox, leaseUntil }: Lease): CommitResult {
  return { result: "ok", epoch, status: "EXECUTING", inbox, leaseUntil };
}

/** Of a run `r`. Nobody else writes records alone; the general way would know what to make of it. */
export const isHeld = "r.status = 'EXECUTING' and r.lease_until is not null";
