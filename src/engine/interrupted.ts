import { decodeErrorRecord, fromErrorRecord } from "../core/error-record.js";
import { isPawlError, TaskInterruptedError } from "../core/errors.js";
import { decodeTaskData } from "../core/task-data.js";
import type { Op } from "./op.js";

/** Told once in each generation: what a retried parent calls again was interrupted all the same. */
export function wasInterrupted({ record, scope }: Op): boolean {
  if (record === undefined || record.status === "RUNNING") return record !== undefined;
  if (record.status !== "FAILED" || record.error === null) return false;
  const { tag = "" } = decodeTaskData(record.data);
  const sameGeneration = tag.split(".")[0] === scope.tag.split(".")[0];
  const error = fromErrorRecord(decodeErrorRecord(record.error));
  return sameGeneration && isPawlError(error, "TASK_INTERRUPTED");
}

export function interrupted(op: Op): TaskInterruptedError {
  return new TaskInterruptedError(
    `Task "${op.path}" of run ${op.runId} was started by an execution that ended before the result was recorded. It is at-most-once and is not started again; check what it did, then catch this error or retry the run.`,
  );
}
