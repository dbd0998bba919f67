import { derivedId } from "../../core/derived-id.js";
import { encodeErrorRecord, toErrorRecord } from "../../core/error-record.js";
import type { InvokeOptions } from "../../core/io.js";
import type { AnyJob } from "../../core/job.js";
import type { Key } from "../../core/key.js";
import type { RunHandle } from "../../core/run.js";
import type { TaskRecord } from "../../core/storage.js";
import { decodeTaskData, encodeTaskData, type TaskData } from "../../core/task-data.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { createKeyedRun, newInvokedRun } from "../start-runs.js";

/** Starts a child and goes on. Child and record are one commit, so there is never a second child. */
export function invokeTask(
  scope: Scope,
  key: Key,
  job: AnyJob | string,
  payload: unknown,
  options: InvokeOptions = {},
): Promise<RunHandle<never>> {
  const { execution } = scope;
  const decode = (record: TaskRecord) => ({ id: decodeTaskData(record.data).childId });
  return execution.call(scope, key, "invoke", decode, (op) => {
    void execution.hold(async () => {
      try {
        const childId = await startChild(op, job, payload, options);
        execution.record(
          op,
          { status: "COMPLETED", attempts: 1, data: encodeTaskData({ childId }) },
          "settle",
        );
      } catch (error) {
        failOp(op, error);
      }
    });
  });
}

/**
 * The id of the child, whose creation goes into the next commit of this run. A
 * child with an idempotency key may exist already, so that one is created
 * first; the key makes a second try find it.
 */
export async function startChild(
  op: Op,
  job: AnyJob | string,
  payload: unknown,
  options: InvokeOptions,
): Promise<string> {
  const { execution } = op.scope;
  const id = derivedId("child", op.runId, op.path, op.scope.tag);
  const run = await newInvokedRun(execution.engine, job, payload, options, {
    id,
    parentId: op.runId,
    parentPath: op.path,
  });
  if (run.idempotencyKey === undefined || run.idempotencyKey === null) {
    execution.writer.pending.runs.push(run);
    return id;
  }
  return (await createKeyedRun(execution.engine, run)).id;
}

export function failOp(op: Op, error: unknown, data: TaskData = {}): void {
  op.scope.execution.record(
    op,
    {
      status: "FAILED",
      attempts: 1,
      error: encodeErrorRecord(toErrorRecord(error)),
      data: encodeTaskData({ ...data, tag: op.scope.tag }),
    },
    "settle",
  );
}
