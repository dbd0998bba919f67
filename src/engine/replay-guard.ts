import { TaskError } from "../core/errors.js";
import { currentScope } from "./async-context.js";

/** Throws KEY_REQUIRED in code of a run that is outside of a task: each replay would repeat the call. */
export function refuseInRun(method: string): void {
  const scope = currentScope();
  if (scope === undefined || scope.isTask || !scope.execution.isLive) return;
  const call = method === "invoke" || method === "sendEvent" ? method : "runTask";
  throw new TaskError(
    "KEY_REQUIRED",
    `client.${method} was called in run ${scope.execution.runId} outside of a task, where each replay would repeat it. Use io.${call} with a key.`,
  );
}
