import { type Duration, waitUntilMs } from "../../core/duration.js";
import type { Key } from "../../core/key.js";
import type { TaskRecord } from "../../core/storage.js";
import { encodeTaskData } from "../../core/task-data.js";
import { passWait } from "../execution-records.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { rejected } from "./run-task.js";

/** Fixes its instant at the first encounter and parks the run until then. */
export function wait(scope: Scope, key: Key, when: Duration | Date): Promise<void> {
  const { execution } = scope;
  let wakeAt: number;
  try {
    wakeAt = waitUntilMs(when, execution.engine.storeClock.now(), "io.wait");
  } catch (error) {
    return rejected(error);
  }
  return execution.call<void>(
    scope,
    key,
    "wait",
    () => undefined,
    (op, earlier) => {
      waitUntil(op, earlier?.wakeAt ?? wakeAt);
    },
  );
}

function waitUntil(op: Op, wakeAt: number): void {
  const { execution } = op.scope;
  execution.waits.add(op, {
    wakeAt,
    onDue: () => {
      // What has settled may be about to make a call.
      const isAlone = execution.ops.size === 1 && execution.settlement.isQuiet;
      if (isAlone && isWaiting(op.record)) passWait(execution, op);
      else execution.record(op, { status: "COMPLETED" }, "settle");
    },
    parkRecord: () => {
      if (!isWaiting(op.record)) {
        execution.record(op, {
          status: "WAITING",
          wakeAt,
          data: encodeTaskData({ tag: op.scope.tag }),
        });
      }
    },
  });
}

function isWaiting(record: TaskRecord | undefined): boolean {
  return record?.status === "WAITING";
}
