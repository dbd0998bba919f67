import { RunError, StorageError, type TaskError } from "../core/errors.js";
import { isFinal } from "../core/run-status.js";
import type { CommitResult, RunRecord, TaskRecord } from "../core/storage.js";

/** Reasons with which the signals of an execution fire. */

export function lostError(
  runId: string,
  result: Pick<CommitResult, "result" | "status">,
): RunError {
  if (result.status === "CANCELED")
    return new RunError("RUN_CANCELED", `Run ${runId} was cancelled. Stop working for it.`);
  if (result.status === "TIMED_OUT")
    return new RunError("RUN_TIMED_OUT", `Run ${runId} timed out. Stop working for it.`);
  const why = isFinal(result.status)
    ? `it is ${result.status} already`
    : "another worker took it over";
  return new RunError(
    "RUN_FINISHED",
    `This execution of run ${runId} is over: ${why}. Nothing more of it is recorded.`,
  );
}

export function leftError(runId: string): RunError {
  return new RunError(
    "RUN_FINISHED",
    `This execution of run ${runId} gave way; the run goes on in a new one.`,
  );
}

export function abandonedError(op: { readonly path: string; readonly runId: string }): RunError {
  return new RunError(
    "RUN_FINISHED",
    `Nobody waits for "${op.path}" of run ${op.runId} any more: another branch won, or the task around it is tried again.`,
  );
}

export function finishedError(runId: string): RunError {
  return new RunError(
    "RUN_FINISHED",
    `Run ${runId} has ended. What was still running is not recorded.`,
  );
}

export function nonDeterminism(run: RunRecord, record: TaskRecord, attempted: string): TaskError {
  return new RunError(
    "NON_DETERMINISM",
    `Run ${run.id} of job "${run.jobId}" recorded "${record.path}" as ${record.kind}, and the code now calls ${attempted} with that key. Give the new call another key, or bring the old code back; the run is parked until then.`,
    { details: { runId: run.id, path: record.path, recorded: record.kind, attempted } },
  );
}

export function storageRefused(
  runId: string,
  result: CommitResult,
  outcome = "Nothing of it was stored.",
): StorageError {
  const reason = (result.reason ?? "no reason given").replace(/\.$/, "");
  return new StorageError(
    "STORAGE_FAILED",
    `The storage refused a write of run ${runId}: ${reason}. ${outcome}`,
    { cause: result.cause },
  );
}
