import { durationMs } from "../../core/duration.js";
import { decodeErrorRecord, fromErrorRecord } from "../../core/error-record.js";
import { ConfigError, RunError, WaitTimeoutError } from "../../core/errors.js";
import { endTopic } from "../../core/final.js";
import type { BatchItem, InvokeAndWaitOptions } from "../../core/io.js";
import type { AnyJob } from "../../core/job.js";
import type { Key } from "../../core/key.js";
import { assertInteger, assertOptions } from "../../core/options.js";
import type { InvokeResult } from "../../core/run.js";
import { type FinalStatus, isFinal } from "../../core/run-status.js";
import type { RunRecord, Signal, TaskRecord } from "../../core/storage.js";
import { decodeTaskData, encodeTaskData } from "../../core/task-data.js";
import type { Engine } from "../engine.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { invokeOptionNames } from "../start-runs.js";
import { isThenable } from "../thenable.js";
import { failOp, type StartedChild, startChild } from "./invoke.js";
import { group, inSlots } from "./parallel.js";
import { rejected } from "./run-task.js";

/** Most items of one batch. */
const MAX_BATCH = 10_000;

export function invokeAndWaitTask<R>(
  scope: Scope,
  key: Key,
  job: AnyJob | string,
  payload: unknown,
  options: InvokeAndWaitOptions = {},
  batch?: object,
): Promise<R> {
  const { execution } = scope;
  const { engine } = execution;
  let timeoutMs: number | undefined;
  try {
    timeoutMs = checkedTimeoutMs(options);
  } catch (error) {
    return rejected(error);
  }
  const { timeout: _, ...invokeOptions } = options;
  return execution.call<R>(
    scope,
    key,
    "invokeAndWait",
    (record) => resultOf(engine, record),
    (op, earlier) => {
      if (earlier?.status === "WAITING") {
        const childId = decodeTaskData(earlier.data).childId ?? "";
        waitForChild(op, childId, earlier.wakeAt ?? undefined, batch);
        execution.waits.lookAgain(op, childId, (child) => seenAgain(op, childId, child));
        return;
      }
      void execution.hold(async () => {
        try {
          const started = await startChild(op, job, payload, invokeOptions);
          const wakeAt = timeoutMs === undefined ? undefined : engine.storeClock.now() + timeoutMs;
          recordWaiting(op, started, wakeAt);
          waitForChild(op, started.childId, wakeAt, batch);
        } catch (error) {
          failOp(op, error);
        }
      });
    },
  );
}

function checkedTimeoutMs(options: InvokeAndWaitOptions): number | undefined {
  assertOptions(options, [...invokeOptionNames, "timeout"], "invokeAndWait");
  const { timeout } = options;
  return timeout === undefined ? undefined : durationMs(timeout, "timeout of invokeAndWait");
}

/** Creation, wait and, if nothing else is going on, the park are one commit. */
function recordWaiting(
  op: Op,
  { childId, mayBeForeign }: StartedChild,
  wakeAt: number | undefined,
): void {
  const { execution } = op.scope;
  // Another parent is told of its end: ask to be told, too.
  if (mayBeForeign) watchChild(op, childId, op.scope.tag);
  execution.record(op, {
    status: "WAITING",
    wakeAt: wakeAt ?? null,
    data: encodeTaskData({ childId, tag: op.scope.tag }),
  });
}

/** A signal comes once for its id, so each time of asking needs one of its own. */
function watchChild(op: Op, childId: string, time: string): void {
  op.scope.execution.writer.pending.watches.push({
    targetId: childId,
    signalId: `watch:${childId}:${op.path}:${time}`,
    topic: endTopic(childId),
  });
}

function waitForChild(
  op: Op,
  childId: string,
  wakeAt: number | undefined,
  batch: object | undefined,
): void {
  op.scope.execution.waits.add(op, {
    topic: endTopic(childId),
    onSignal: (signal) => childEnded(op, childId, signal, wakeAt, batch),
    ...(wakeAt === undefined ? undefined : { wakeAt, onDue: () => timedOut(op, childId) }),
    ...(batch === undefined || wakeAt !== undefined ? undefined : { batch }),
  });
}

function timedOut(op: Op, childId: string): void {
  failOp(
    op,
    new WaitTimeoutError(
      `Run ${childId} did not end in time; "${op.path}" of run ${op.runId} stopped waiting. The child goes on: cancel it, or raise the timeout.`,
    ),
    { childId },
  );
}

function childEnded(
  op: Op,
  childId: string,
  signal: Signal,
  wakeAt: number | undefined,
  batch: object | undefined,
): void {
  const { execution } = op.scope;
  void execution.hold(async () => {
    const child = await execution.engine.reader.read(childId);
    execution.writer.pending.signalsRead.push(signal.id);
    if (!isOpen(child)) {
      recordEnd(op, childId, child);
      return;
    }
    // Retried since it ended: the end of that is the one to wait for.
    watchGeneration(op, child);
    waitForChild(op, childId, wakeAt, batch);
  });
}

/** As a replay finds the child of a wait that is recorded. */
function seenAgain(op: Op, childId: string, child: RunRecord | undefined): void {
  if (!isOpen(child)) {
    op.waiting = undefined;
    recordEnd(op, childId, child);
  } else if (child.generation > 0) {
    // The signal that was passed over may have been that of its first end.
    watchGeneration(op, child);
  }
}

function isOpen(child: RunRecord | undefined): child is RunRecord {
  return child !== undefined && !isFinal(child.status);
}

function watchGeneration(op: Op, child: RunRecord): void {
  watchChild(op, child.id, `${op.scope.tag}:${child.generation}`);
  op.scope.execution.writer.enqueue();
}

function recordEnd(op: Op, childId: string, child: RunRecord | undefined): void {
  if (child === undefined) {
    const message = `Run ${childId}, which "${op.path}" waits for, is not in the storage any more.`;
    failOp(op, new RunError("RUN_NOT_FOUND", message), { childId });
    return;
  }
  const { jobId, status, output, error } = child;
  const data = encodeTaskData({ childId, child: { jobId, status } });
  op.scope.execution.record(
    op,
    { status: "COMPLETED", attempts: 1, output, error, data },
    "settle",
  );
}

/** The output of the child is kept as its own text; the result is built around it on use. */
function resultOf(engine: Engine, record: TaskRecord): unknown {
  const { childId = "", child } = decodeTaskData(record.data);
  const status = (child?.status ?? "FAILED") as FinalStatus;
  const run = { id: childId, jobId: child?.jobId ?? "", status };
  if (status !== "COMPLETED")
    return { ok: false, error: errorOfChild(record, run.id, status), run };
  const output = record.output === null ? undefined : engine.codec.decode(record.output);
  return isThenable(output)
    ? Promise.resolve(output).then((decoded) => ({ ok: true, output: decoded, run }))
    : { ok: true, output, run };
}

function errorOfChild(record: TaskRecord, childId: string, status: FinalStatus): Error {
  if (record.error !== null) return fromErrorRecord(decodeErrorRecord(record.error));
  return new RunError("RUN_CANCELED", `Run ${childId} ended as ${status}.`);
}

export function batchInvokeAndWaitTask<R>(
  scope: Scope,
  key: Key,
  job: AnyJob | string,
  items: readonly BatchItem<unknown>[],
  options: { readonly concurrency?: number } = {},
): Promise<R[]> {
  try {
    assertOptions(options, ["concurrency"], "io.batchInvokeAndWait");
    if (options.concurrency !== undefined)
      assertInteger(options.concurrency, "concurrency of io.batchInvokeAndWait", { min: 1 });
    if (!Array.isArray(items) || items.length > MAX_BATCH) {
      throw new ConfigError(
        "OPTION_INVALID",
        `io.batchInvokeAndWait takes an array of at most ${MAX_BATCH} items { payload, options? }.`,
      );
    }
  } catch (error) {
    return rejected(error);
  }
  const batch = options.concurrency === undefined ? {} : undefined;
  return group<R[]>(scope, key, "batch", undefined, (inner) =>
    inSlots(items, options.concurrency ?? items.length, (item, index) =>
      invokeAndWaitTask<InvokeResult>(inner, String(index), job, item.payload, item.options, batch),
    ),
  );
}
