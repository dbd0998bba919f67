import { decodeErrorRecord, fromErrorRecord } from "../core/error-record.js";
import { tellBlocked } from "./block.js";
import { lookAgain } from "./connections.js";
import type { Execution } from "./execution.js";
import { finishedError, leftError } from "./execution-errors.js";
import { notificationOf } from "./notification.js";
import type { Op } from "./op.js";

/** After its last commit. */
export function executionOver(execution: Execution, purpose: "final" | "release"): void {
  tellOutcome(execution, purpose);
  const reason = purpose === "final" ? finishedError : leftError;
  execution.drop(() => reason(execution.runId));
}

function tellOutcome(execution: Execution, purpose: "final" | "release"): void {
  const { engine, run, ending, leaving } = execution;
  if (purpose === "release") {
    if (leaving?.kind === "connections") {
      engine.emitter.emit("runWaiting", { id: run.id, jobId: run.jobId });
      void execution.host.meanwhile(() => lookAgain(execution, leaving.missing));
    }
    if (leaving?.kind === "blocked") tellBlocked(engine, run, leaving.error);
    return;
  }
  if (ending === undefined) return;
  engine.runEnded(run.id);
  const error = ending.error === undefined ? undefined : fromErrorRecord(ending.error);
  const event = ending.status === "COMPLETED" ? "runSucceeded" : "runFailed";
  if (engine.emitter.hears(event)) {
    void notificationOf(
      engine,
      {
        ...run,
        status: ending.status,
        output: ending.output ?? null,
        finishedAt: engine.storeClock.now(),
      },
      error,
    ).then((notification) => engine.emitter.emit(event, notification), engine.onTrouble);
  } else if (
    error !== undefined &&
    execution.job.options.onFailure === undefined &&
    run.parentId === null
  ) {
    engine.say(
      `Run ${run.id} of job "${run.jobId}" failed${lastFailedTask(execution)}: ${error.name}: ${error.message}`,
    );
  }
  warnUnvisited(execution);
}

/** Tells listeners of a task's final record. */
export function taskEnded({ engine, runId, run }: Execution, { path, record }: Op): void {
  if (record === undefined) return;
  const name = record.status === "COMPLETED" ? "taskCompleted" : "taskFailed";
  if (!engine.emitter.hears(name)) return;
  const event = { runId, jobId: run.jobId, path, attempts: record.attempts };
  if (name === "taskCompleted") {
    engine.emitter.emit(name, event);
  } else if (record.error !== null) {
    engine.emitter.emit(name, {
      ...event,
      error: fromErrorRecord(decodeErrorRecord(record.error)),
    });
  }
}

function lastFailedTask(execution: Execution): string {
  const failed =
    execution.lastFailed ??
    [...execution.memo.values()].filter((task) => task.status === "FAILED").at(-1);
  if (failed === undefined) return "";
  const message = failed.error === null ? "" : decodeErrorRecord(failed.error).message;
  return execution.ending?.error?.message === message ? ` in task "${failed.path}"` : "";
}

/** Records at a level that ran again and that the code did not come by: it was changed under the run. */
function warnUnvisited(execution: Execution): void {
  const { visited, memo, engine, run } = execution;
  if (visited === undefined) return;
  const missed = [...memo.values()].filter(({ path, status }) => {
    if (status !== "COMPLETED" || visited.has(path)) return false;
    const slash = path.lastIndexOf("/");
    return slash < 0;
  });
  if (missed.length === 0) return;
  const keys = missed
    .slice(0, 5)
    .map((task) => JSON.stringify(task.path))
    .join(", ");
  engine.say(
    `Run ${run.id} of job "${run.jobId}" completed without coming by ${missed.length} recorded call(s): ${keys}. The code was changed while the run was under way.`,
  );
}
