import { toErrorRecord } from "../core/error-record.js";
import { RunError } from "../core/errors.js";
import type { Ending } from "../core/final.js";
import type { RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { finishRun } from "./finish-run.js";
import { decodeMeta } from "./run-meta.js";
import { expiredTokenEnding, TOKEN_JOB } from "./tokens.js";

/**
 * Ends runs past their deadline, whoever holds them and whatever jobs this process knows (S11).
 * Throws the first problem once all have been tried.
 */
export async function finishOverdue(engine: Engine, runIds: readonly string[]): Promise<void> {
  const endings = runIds.map((runId) => finishRun(engine, runId, overdueEnding));
  for (const ending of await Promise.allSettled(endings)) {
    if (ending.status === "rejected") throw ending.reason;
  }
}

function overdueEnding(run: RunRecord, now: number): Ending | undefined {
  // The deadline may have been moved since it was listed.
  if (run.deadlineAt === null || run.deadlineAt > now) return undefined;
  if (run.jobId === TOKEN_JOB) return expiredTokenEnding(run);
  if (run.startedAt === null) return expiredEnding(run);
  const message = `Run ${run.id} of job "${run.jobId}" took longer than its maxDuration of ${run.maxDurationMs} ms. Raise maxDuration, or retry the run.`;
  return { status: "TIMED_OUT", error: toErrorRecord(new RunError("RUN_TIMED_OUT", message)) };
}

/** A claim may take what is past its deadline: that comes to no execution any more. */
export function lateEnding(run: RunRecord, now: number): Ending | undefined {
  const { expiresAt } = decodeMeta(run.meta);
  // The claim that started it has replaced the deadline of its ttl. A retry knows of no ttl.
  const isExpired =
    expiresAt !== undefined && run.generation === 1 && (run.startedAt ?? now) >= expiresAt;
  return isExpired ? expiredEnding(run) : overdueEnding(run, now);
}

function expiredEnding(run: RunRecord): Ending {
  const message = `Run ${run.id} of job "${run.jobId}" did not start within its ttl. Raise the ttl, or start more workers.`;
  return { status: "CANCELED", error: toErrorRecord(new RunError("RUN_EXPIRED", message)) };
}

/** The run of a job that dies or leaves again and again without recording anything (contract E10). */
export function stalledEnding(run: RunRecord, openTasks: readonly string[]): Ending {
  const open =
    openTasks.length === 0
      ? "no task was open"
      : `open: ${openTasks.map((path) => `"${path}"`).join(", ")}`;
  const message = `Run ${run.id} of job "${run.jobId}" ended ${run.stalls} executions in a row without recording anything (${open}). Look for what kills or blocks the process there, then retry the run.`;
  return {
    status: "TIMED_OUT",
    error: toErrorRecord(new RunError("RUN_STALLED", message, { details: { openTasks } })),
  };
}
