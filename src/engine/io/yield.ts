import type { Key } from "../../core/key.js";
import type { Scope } from "../scope.js";

/** The record and the release are one commit: the next execution passes this call. */
export function yieldExecution(scope: Scope, key: Key): Promise<void> {
  const { execution } = scope;
  return execution.call<void>(
    scope,
    key,
    "yield",
    () => undefined,
    (op) => {
      execution.record(op, { status: "COMPLETED" });
      execution.leave({ kind: "yield" });
    },
  );
}
