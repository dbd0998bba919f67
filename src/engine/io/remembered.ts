import type { Key } from "../../core/key.js";
import type { TaskRecord } from "../../core/storage.js";
import type { TaskKind } from "../../core/task-data.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { failOp } from "./invoke.js";

/** Done once, and its result remembered. A crash in between repeats it. */
export function remembered<T>(
  scope: Scope,
  key: Key,
  kind: TaskKind,
  work: (op: Op) => Promise<unknown>,
): Promise<T> {
  const { execution } = scope;
  const { codec } = execution.engine;
  const decode = ({ output }: TaskRecord) => (output === null ? undefined : codec.decode(output));
  return execution.call<T>(scope, key, kind, decode, (op) => {
    void execution.hold(async () => {
      try {
        const output = await codec.encode(await work(op));
        execution.record(op, { status: "COMPLETED", attempts: 1, output }, "settle");
      } catch (error) {
        failOp(op, error);
      }
    });
  });
}
