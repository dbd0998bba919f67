import { hasFlow } from "../core/flow.js";
import type { InvokeOptions } from "../core/io.js";
import type { AnyJob } from "../core/job.js";
import { newRunRecord } from "../core/new-run.js";
import type { CreatedRun } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { createInvokedRun } from "./flow-start.js";
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
    !hasFlow(job.options) &&
    run.admitted !== null &&
    (run.limitKeys?.length ?? 0) === 0 &&
    (run.wakeAt ?? 0) <= engine.storeClock.now();
  if (!direct) {
    const created = await createInvokedRun(engine, run);
    worker.claimSoon(run.wakeAt ?? undefined);
    return created.id;
  }
  const createdAt = engine.clock.monotonic();
  worker.reserveSlot();
  const leased = { ...run, lease: { workerId: worker.id, leaseMs: engine.leaseMs } };
  let created: CreatedRun | undefined;
  try {
    created = await createKeyedRun(engine, leased);
  } finally {
    worker.releaseSlot();
  }
  if (created.created && created.leaseUntil !== null) {
    // The row as the store made it, without reading it back.
    const record = newRunRecord(leased, created.createdAt);
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
