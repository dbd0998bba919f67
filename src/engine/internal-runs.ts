import { toErrorRecord } from "../core/error-record.js";
import { finalPatch, hookJobId, isHookJob } from "../core/final.js";
import type { ClaimedRun } from "../core/storage.js";
import { deliverEvent, makeDelayed } from "./deliver-event.js";
import type { Engine } from "./engine.js";
import { DELAYED_JOB, EVENT_JOB } from "./event-run.js";
import { callHook } from "./hooks.js";
import { SCHEDULE_JOB } from "./schedule-state.js";
import { tickSchedule } from "./tick-schedule.js";

/** Internal jobs that a worker executes whatever jobs of the user's it has. */
export function commonJobs({ ticksSchedules }: Engine): readonly string[] {
  return ticksSchedules ? [EVENT_JOB, DELAYED_JOB, SCHEDULE_JOB] : [EVENT_JOB, DELAYED_JOB];
}

/** After so many executions that came to no end it is given up, so that it does not take processes down for ever. */
const MOST_STALLS = 5;

/** Executes a run of an internal job: it keeps its state in its row and records no tasks (contract E11). */
export async function executeInternal(engine: Engine, claimed: ClaimedRun): Promise<void> {
  const { jobId } = claimed.run;
  if (isHookJob(jobId)) return executeHook(engine, claimed);
  // However often its workers died: a schedule goes on.
  if (jobId === SCHEDULE_JOB) return tickSchedule(engine, claimed);
  if (claimed.run.stalls >= MOST_STALLS) return giveUp(engine, claimed);
  if (jobId === EVENT_JOB) await deliverEvent(engine, claimed);
  if (jobId === DELAYED_JOB) await makeDelayed(engine, claimed);
}

async function executeHook(engine: Engine, claimed: ClaimedRun): Promise<void> {
  const job = engine.jobs.get(claimed.run.jobId.slice(hookJobId("").length));
  if (job !== undefined) await callHook(engine, job, claimed);
}

async function giveUp(engine: Engine, { run }: ClaimedRun): Promise<void> {
  const error = new Error(`${run.jobId} ${run.eventId ?? run.id} could not be delivered.`);
  engine.onTrouble(error);
  await engine.queue.submit({
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch },
    run: finalPatch({ status: "FAILED", error: toErrorRecord(error) }, engine.storeClock.now()),
  });
}
