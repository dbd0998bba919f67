import { ConfigError } from "../../core/errors.js";
import { assertText, type Key } from "../../core/key.js";
import { assertOptions, describe } from "../../core/options.js";
import {
  type StatusHandle,
  type StatusState,
  type StatusValue,
  statusStates,
} from "../../core/status.js";
import { encodeTaskData } from "../../core/task-data.js";
import { currentScope } from "../async-context.js";
import { encodeValue } from "../encode.js";
import type { Scope } from "../scope.js";
import { failOp } from "./invoke.js";
import { rejected } from "./run-task.js";

/** Each change of a status is a record; readers put them together. */
export function createStatus(scope: Scope, key: Key, value: StatusValue): Promise<StatusHandle> {
  try {
    check(value, "io.createStatus");
    assertText(value.label, "label of io.createStatus");
  } catch (error) {
    return rejected(error);
  }
  return change<StatusHandle>(scope, key, value, undefined);
}

function change<T>(
  scope: Scope,
  key: Key,
  value: Partial<StatusValue>,
  statusPath: string | undefined,
): Promise<T> {
  const { execution } = scope;
  const { engine } = execution;
  const decode = ({ path }: { readonly path: string }) =>
    statusPath === undefined ? handleOf(scope, path) : undefined;
  return execution.call<T>(scope, key, "status", decode, (op) => {
    void execution.hold(async () => {
      try {
        const output = await encodeValue(engine, value, `status "${op.path}"`);
        const data = encodeTaskData({ statusPath: statusPath ?? op.path });
        execution.record(op, { status: "COMPLETED", attempts: 1, output, data }, "settle");
      } catch (error) {
        failOp(op, error);
      }
    });
  });
}

function handleOf(scope: Scope, statusPath: string): StatusHandle {
  return {
    update: (key, value) => {
      try {
        check(value, "update of a status");
        if (value.label !== undefined) assertText(value.label, "label of a status");
      } catch (error) {
        return rejected(error);
      }
      // In a task's callback its keys are those of that task, as with `io`.
      const current = currentScope();
      const inner = current?.execution === scope.execution ? current : scope;
      return change<void>(inner, key, value, statusPath);
    },
  };
}

function check(value: Partial<StatusValue>, where: string): void {
  if (value === undefined) throw new ConfigError("OPTION_INVALID", `${where} needs { label, … }.`);
  assertOptions(value, ["label", "state", "data"], where);
  const { state } = value;
  if (state === undefined || (statusStates as readonly StatusState[]).includes(state)) return;
  throw new ConfigError(
    "OPTION_INVALID",
    `state of ${where} is ${describe(state)}; pass "loading", "success" or "failure".`,
  );
}
