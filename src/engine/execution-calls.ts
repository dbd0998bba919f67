import { TaskError } from "../core/errors.js";
import { childPath, type Key } from "../core/key.js";
import type { TaskKind } from "../core/task-data.js";
import type { Execution } from "./execution.js";
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
      `io call ${JSON.stringify(key)} (${kind}) inside ${scope.forbidden} "${scope.path}" of run ${execution.runId}: such a task may not make io calls, since it is never run again to get to them. Move the call outside of the task.`,
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
  if (execution.memo.size >= cap && !execution.memo.has(path)) {
    throw new TaskError(
      "TASK_LIMIT_EXCEEDED",
      `Run ${execution.runId} has ${cap} tasks already. Split the work into child runs, or raise caps.tasksPerRun of createClient.`,
    );
  }
  return path;
}
