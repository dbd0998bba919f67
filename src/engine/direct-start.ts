import type { InvokeOptions } from "../core/io.js";
import type { AnyJob } from "../core/job.js";
import type { CreatedRun, NewRun, RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { newId } from "./ids.js";
import { createKeyedRun, newInvokedRun } from "./start-runs.js";
import type { Worker } from "./worker.js";

/** Creates a run; if this worker may, it holds the run from the start and needs no claim (contract E2). */
export async function invokeRun(
  engine: Engine,
  worker: Worker,
  target: AnyJob | string,
  payload: unknown,
  options: InvokeOptions,
): Promise<string> {
  const id = newId(engine.storeClock.now());
  const run = await newInvokedRun(engine, target, payload, options, { id });
  const job = engine.jobs.get(run.jobId);
  const direct =
    job !== undefined &&
    worker.mayStartDirectly &&
    run.admitted !== null &&
    (run.limitKeys?.length ?? 0) === 0 &&
    (run.wakeAt ?? 0) <= engine.storeClock.now();
  if (!direct) {
    const created = await createKeyedRun(engine, run);
    worker.claimSoon(run.wakeAt ?? undefined);
    return created.id;
  }
  const createdAt = engine.clock.monotonic();
  worker.reserveSlot();
  let created: CreatedRun | undefined;
  try {
    created = await createKeyedRun(engine, {
      ...run,
      lease: { workerId: worker.id, leaseMs: engine.leaseMs },
    });
  } finally {
    worker.releaseSlot();
  }
  if (created.created && created.leaseUntil !== null) {
    const record = heldRecord(run, created, worker.id);
    worker.execute(
      job,
      { run: record, signals: [], tasks: [], tasksComplete: true, kept: false, logCounts: {} },
      createdAt,
    );
  } else {
    worker.claimSoon();
  }
  return created.id;
}

/** The row as the store made it, without reading it back. */
function heldRecord(run: NewRun, created: CreatedRun, workerId: string): RunRecord {
  const { createdAt, leaseUntil } = created;
  const maxDurationMs = run.maxDurationMs ?? null;
  return {
    id: run.id,
    jobId: run.jobId,
    version: run.version,
    status: "EXECUTING",
    epoch: 1,
    generation: 1,
    workerId,
    leaseUntil,
    dueAt: leaseUntil,
    deadlineAt: maxDurationMs === null ? null : createdAt + maxDurationMs,
    maxDurationMs,
    priority: run.priority ?? 0,
    limitKeys: [],
    payload: run.payload,
    admitted: run.admitted ?? null,
    output: null,
    error: null,
    blocked: null,
    executionCount: 1,
    stalls: 0,
    lastSeq: 0,
    inbox: 0,
    tags: run.tags ?? [],
    eventId: run.eventId ?? null,
    parentId: run.parentId ?? null,
    parentPath: run.parentPath ?? null,
    idempotencyKey: run.idempotencyKey ?? null,
    fingerprint: run.fingerprint ?? null,
    isTest: run.isTest ?? false,
    createdAt,
    startedAt: createdAt,
    finishedAt: null,
    meta: run.meta ?? null,
    state: null,
  };
}
