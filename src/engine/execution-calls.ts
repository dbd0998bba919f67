import { toErrorRecord } from "../core/error-record.js";
import { TaskError } from "../core/errors.js";
import { childPath, type Key } from "../core/key.js";
import type { TaskRecord } from "../core/storage.js";
import { decodeTaskData, type TaskKind } from "../core/task-data.js";
import type { Execution } from "./execution.js";
import { nonDeterminism } from "./execution-errors.js";
import type { Op } from "./op.js";
import type { Scope } from "./scope.js";

/** The path of a new call, or the rejection of a call that cannot be. */
export function admitCall(
  execution: Execution,
  scope: Scope,
  key: Key,
  kind: TaskKind,
): string | Promise<never> {
  try {
    return pathOfCall(execution, scope, key, kind);
  } catch (error) {
    const rejection = Promise.reject(error);
    // A call that nobody awaits must not end the process when it fails.
    rejection.catch(() => {});
    return rejection;
  }
}

function pathOfCall(execution: Execution, scope: Scope, key: Key, kind: TaskKind): string {
  if (scope.forbidden !== undefined) {
    throw new TaskError(
      "NESTED_CALL_FORBIDDEN",
      `io call ${JSON.stringify(key)} (${kind}) inside ${scope.forbidden} "${scope.path}" of run ${execution.runId}: such a task may not make io calls, since ${scope.forbidden === "transaction task" ? "its transaction would stay open meanwhile" : "it is never run again to get to them"}. Move the call outside of the task.`,
    );
  }
  const path = childPath(scope.path, key);
  if (!scope.useKey(path)) {
    const parent = scope.path === "" ? "the run itself" : `task "${scope.path}"`;
    throw new TaskError(
      "KEY_DUPLICATE",
      `Key ${JSON.stringify(key)} is used twice under ${parent} in run ${execution.runId}. Give each call a key of its own, such as ["send", user.id] in a loop.`,
      { details: { key, parent: scope.path, runId: execution.runId } },
    );
  }
  const cap = execution.engine.caps.tasksPerRun;
  if (execution.taskCount >= cap && !execution.memo.has(path)) {
    throw new TaskError(
      "TASK_LIMIT_EXCEEDED",
      `Run ${execution.runId} has ${cap} tasks already. Split the work into child runs, or raise caps.tasksPerRun of createClient.`,
    );
  }
  return path;
}

/** What an `io` call does when nothing final is recorded for it. */
export type Start = (op: Op, earlier: TaskRecord | undefined) => void;

/** Settles from the record, or starts what is not recorded as done. */
export function beginCall(execution: Execution, op: Op, start: Start): void {
  const record = execution.memo.get(op.path);
  // Also if there is none: the one that it waited for may have been refused.
  op.record = record;
  if (record === undefined) {
    // While leaving, nothing new starts; the next execution will come by here again.
    if (execution.phase === "running") start(op, undefined);
    return;
  }
  execution.visited?.add(op.path);
  if (record.kind !== op.kind) {
    const error = toErrorRecord(nonDeterminism(execution.run, record, op.kind));
    execution.leave({ kind: "blocked", error });
    return;
  }
  const stale = record.status !== "COMPLETED" && decodeTaskData(record.data).tag !== op.scope.tag;
  if (record.status === "COMPLETED" || (record.status === "FAILED" && !stale)) {
    // A call that an earlier attempt of its parent left open may be decided and not yet committed.
    const settle = () => execution.settlement.addRecorded(op);
    if (execution.writer.isDurable(record)) settle();
    else execution.writer.whenDurable(record, settle, () => beginAnew(execution, op, start));
  } else if (execution.phase === "running") {
    start(op, stale && record.kind !== "wait" ? undefined : record);
  }
}

/** The record that was met was refused: there is none. */
function beginAnew(execution: Execution, op: Op, start: Start): void {
  if (execution.isLive && !op.scope.isClosed) beginCall(execution, op, start);
}
