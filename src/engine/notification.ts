import { decodeErrorRecord, fromErrorRecord } from "../core/error-record.js";
import type { RunNotification } from "../core/run.js";
import { isFinal } from "../core/run-status.js";
import type { RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { accountOf, eventOf } from "./run-meta.js";

/** A run as hooks and listeners get it. */
export async function notificationOf(
  engine: Engine,
  run: RunRecord,
  known?: Error,
): Promise<RunNotification> {
  const account = accountOf(run);
  const error =
    known ?? (run.error === null ? undefined : fromErrorRecord(decodeErrorRecord(run.error)));
  return {
    id: run.id,
    ok: run.status === "COMPLETED",
    status: isFinal(run.status) ? run.status : "EXECUTING",
    job: { id: run.jobId, version: run.version },
    event: await eventOf(engine, run),
    ...(account === undefined ? undefined : { account }),
    payload: run.payload === null ? undefined : await engine.codec.decode(run.payload),
    ...(run.status === "COMPLETED" && run.output !== null
      ? { output: await engine.codec.decode(run.output) }
      : undefined),
    ...(error === undefined ? undefined : { error }),
    tags: run.tags,
    isTest: run.isTest,
    executionCount: run.executionCount,
    createdAt: new Date(run.createdAt),
    ...(run.startedAt === null ? undefined : { startedAt: new Date(run.startedAt) }),
    ...(run.finishedAt === null ? undefined : { finishedAt: new Date(run.finishedAt) }),
    ...engine.surroundings,
  };
}
