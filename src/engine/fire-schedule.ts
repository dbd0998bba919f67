import { ConfigError } from "../core/errors.js";
import { assertText } from "../core/key.js";
import { isFinal } from "../core/run-status.js";
import type { NewRun } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { newId } from "./ids.js";
import { hooksOfOver, tellOfOver } from "./over-at-creation.js";
import type { Registration } from "./registry.js";
import { schedulePlace } from "./schedule-place.js";
import { type ScheduleState, stateOf } from "./schedule-state.js";
import { scheduleNotFound } from "./schedules.js";
import { createRefused } from "./start-runs.js";
import { jobsOf, scheduledRun } from "./tick-schedule.js";

/**
 * Starts the runs of a schedule at once. Its own row is only read, so a tick that
 * comes at the same moment, and each later one, is what it would have been.
 */
export async function fireSchedule(engine: Engine, name: string): Promise<readonly string[]> {
  assertText(name, "id of a schedule");
  await engine.patience.until(() => engine.registry.refresh());
  const { id, run } = await schedulePlace(engine, name);
  if (run === undefined || isFinal(run.status)) throw scheduleNotFound(name);
  const state = stateOf(run);
  const jobs = jobsOf(engine, run, state);
  if (jobs === undefined) throw scheduleNotFound(name);
  if (jobs.length === 0 && state.dynamicId === undefined) throw disabled(name);
  const now = await engine.patience.until(() => engine.rawStorage.now());
  const runs = await Promise.all(jobs.map((job) => firedRun(engine, id, state, job, now)));
  await createAll(engine, runs, now);
  return runs.map((made) => made.id);
}

function firedRun(
  engine: Engine,
  scheduleId: string,
  state: ScheduleState,
  job: Registration,
  now: number,
): Promise<NewRun> {
  // A tick of the same instant is another event.
  const eventId = `${scheduleId}:fired:${newId(now)}`;
  return scheduledRun(engine, state, { eventId, tick: now, before: state.last, job });
}

async function createAll(engine: Engine, runs: readonly NewRun[], now: number): Promise<void> {
  const [first, ...others] = runs;
  if (first === undefined) return;
  const further = [...others, ...hooksOfOver(engine, runs, now)];
  const result = await engine.queue.create({
    createId: engine.writeIds.next(),
    groups: [{ first, further }],
  });
  if (result.result !== "ok") throw createRefused(result);
  await tellOfOver(engine, runs);
}

function disabled(jobId: string): ConfigError {
  return new ConfigError(
    "JOB_DISABLED",
    `Job "${jobId}" is disabled: its schedule starts no runs, by hand neither. Set enabled: true to start some.`,
  );
}
