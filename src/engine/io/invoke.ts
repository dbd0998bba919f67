import { derivedId } from "../../core/derived-id.js";
import { encodeErrorRecord, toErrorRecord } from "../../core/error-record.js";
import type { InvokeOptions } from "../../core/io.js";
import type { AnyJob } from "../../core/job.js";
import type { Key } from "../../core/key.js";
import type { RunHandle } from "../../core/run.js";
import type { TaskRecord } from "../../core/storage.js";
import { decodeTaskData, encodeTaskData, type TaskData } from "../../core/task-data.js";
import { createInvokedRun, decidesAtOnce } from "../flow-start.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { newInvokedRun } from "../start-runs.js";

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
        const { childId } = await startChild(op, job, payload, options);
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

export interface StartedChild {
  readonly childId: string;
  /** It may have been there before, and have another parent or none. */
  readonly mayBeForeign: boolean;
}

/**
 * The child, whose creation goes into the next commit of this run. One with an
 * idempotency key may exist already, and the rules of its job may have an
 * answer of their own, so that one is created first; a second try finds it by
 * its key or its id.
 */
export async function startChild(
  op: Op,
  job: AnyJob | string,
  payload: unknown,
  options: InvokeOptions,
): Promise<StartedChild> {
  const { execution } = op.scope;
  const { engine } = execution;
  const id = derivedId("child", op.runId, op.path, op.scope.tag);
  const run = await newInvokedRun(engine, job, payload, options, {
    id,
    parentId: op.runId,
    parentPath: op.path,
  });
  if (typeof run.idempotencyKey === "string" || decidesAtOnce(engine.jobs.get(run.jobId)))
    return { childId: (await createInvokedRun(engine, run)).id, mayBeForeign: true };
  execution.writer.pending.runs.push(run);
  return { childId: id, mayBeForeign: false };
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
