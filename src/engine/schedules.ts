import { RunError } from "../core/errors.js";
import type { AnyJob } from "../core/job.js";
import { assertText } from "../core/key.js";
import { assertInteger, assertOptions } from "../core/options.js";
import { isFinal } from "../core/run-status.js";
import { type Schedule, tickAfter } from "../core/schedule.js";
import type { RunQuery, RunRecord } from "../core/storage.js";
import type { ScheduleTriggerData } from "../core/trigger.js";
import type { Engine } from "./engine.js";
import { changeSchedule, ending, registration, stateWrite } from "./schedule-change.js";
import { schedulePlace } from "./schedule-place.js";
import {
  SCHEDULE_JOB,
  type ScheduleDefinition,
  type ScheduleState,
  scheduleName,
  stateOf,
} from "./schedule-state.js";

const PAGE = 200;

/** A schedule as it is read. */
export interface ScheduleView {
  /** Of the job that has it as its trigger. */
  readonly jobId: string;
  readonly schedule: Schedule;
  readonly paused: boolean;
  /** The coming ticks, as many as were asked for; none while it is paused. */
  readonly next: readonly Date[];
  /** The last tick, whether it started a run or was skipped. */
  readonly last?: Date;
}

/** Makes the schedules of these jobs known to every worker. Writes only what differs. */
export async function registerSchedules(engine: Engine, jobs: readonly AnyJob[]): Promise<void> {
  const scheduled = jobs.flatMap((job) =>
    job.trigger.data.type === "schedule" ? [{ job, data: job.trigger.data }] : [],
  );
  if (scheduled.length === 0) return;
  for (const { job, data } of scheduled) await putSchedule(engine, job.id, definitionOf(job, data));
}

/** Makes a schedule, changes it, or begins it anew. */
export async function putSchedule(
  engine: Engine,
  name: string,
  definition: ScheduleDefinition,
): Promise<void> {
  await changeSchedule(engine, name, registration(engine, name, definition));
}

/** Answers whether there was one. */
export function endSchedule(engine: Engine, name: string): Promise<boolean> {
  return changeSchedule(engine, name, ending(engine));
}

function definitionOf(
  { version }: AnyJob,
  { schedule, catchUp, overlap, jitterMs }: ScheduleTriggerData,
): ScheduleDefinition {
  return { schedule, catchUp, overlap, jitterMs, version };
}

/**
 * Changes a schedule that nobody holds, or that somebody does at this moment:
 * the write names the epoch, so a tick in between makes it look again.
 */
async function changeState(
  engine: Engine,
  id: string,
  present: RunRecord | undefined,
  change: (state: ScheduleState, isOver: boolean) => ScheduleState | undefined,
): Promise<"changed" | "unchanged" | "missing"> {
  for (let run = present; ; ) {
    if (run === undefined) return "missing";
    const isOver = isFinal(run.status);
    const state = change(stateOf(run), isOver);
    if (state === undefined) return "unchanged";
    const { result } = await engine.queue.submit(stateWrite(engine, run, state));
    if (result === "ok") return "changed";
    [run] = await engine.storage.getRuns([id]);
  }
}

export async function pauseSchedule(engine: Engine, jobId: string): Promise<void> {
  await changeExisting(engine, jobId, (state) =>
    state.paused === true ? undefined : { ...state, paused: true },
  );
}

/** Ticks that came meanwhile are gone; an interval keeps its phase. */
export async function resumeSchedule(engine: Engine, jobId: string): Promise<void> {
  const now = await engine.rawStorage.now();
  await changeExisting(engine, jobId, ({ paused, ...state }) =>
    paused === true ? { ...state, next: nextFrom(state, now) } : undefined,
  );
}

/** Whoever resumes may have been asleep: a tick that was dealt with meanwhile does not come again. */
function nextFrom({ schedule, next }: ScheduleState, now: number): number | null {
  if (next !== null && next > now) return next;
  return tickAfter(schedule, now, next ?? now) ?? null;
}

async function changeExisting(
  engine: Engine,
  jobId: string,
  change: (state: ScheduleState) => ScheduleState | undefined,
): Promise<void> {
  assertText(jobId, "job id of a schedule");
  const { id, run } = await schedulePlace(engine, jobId);
  const result = await changeState(engine, id, run, (state, isOver) =>
    isOver ? undefined : change(state),
  );
  if (result === "missing" || (run !== undefined && isFinal(run.status)))
    throw scheduleNotFound(jobId);
}

export function scheduleNotFound(id: string): RunError {
  return new RunError(
    "SCHEDULE_NOT_FOUND",
    id.includes("/")
      ? `No schedule "${id}" is registered in this storage, or it was unregistered. Check the id against list() of its dynamic schedule.`
      : `No job "${id}" with a schedule is registered in this storage. Check the id, or start the client that has the job.`,
  );
}

export async function getSchedules(
  engine: Engine,
  options: { readonly ticks?: number },
): Promise<ScheduleView[]> {
  assertOptions(options, ["ticks"], "getSchedules");
  const { ticks = 1 } = options;
  assertInteger(ticks, "ticks of getSchedules", { min: 0, max: 1_000 });
  const found: ScheduleView[] = [];
  for await (const run of listScheduleRuns(engine, { jobIds: [SCHEDULE_JOB] })) {
    if (!isFinal(run.status) && stateOf(run).dynamicId === undefined)
      found.push(viewOf(run, ticks));
  }
  return found.sort((a, b) => (a.jobId < b.jobId ? -1 : 1));
}

export async function* listScheduleRuns(
  engine: Engine,
  which: Pick<RunQuery, "jobIds" | "tag">,
): AsyncGenerator<RunRecord> {
  let cursor: string | undefined;
  do {
    const page = await engine.rawStorage.listRuns({
      ...which,
      internal: true,
      limit: PAGE,
      ...(cursor === undefined ? undefined : { cursor }),
    });
    yield* page.runs;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

function viewOf(run: RunRecord, ticks: number): ScheduleView {
  const { schedule, next, last, paused = false } = stateOf(run);
  const coming: Date[] = [];
  let tick = paused ? undefined : (next ?? undefined);
  while (tick !== undefined && coming.length < ticks) {
    coming.push(new Date(tick));
    tick = tickAfter(schedule, tick, tick);
  }
  return {
    jobId: scheduleName(run),
    schedule,
    paused,
    next: coming,
    ...(last === undefined ? undefined : { last: new Date(last) }),
  };
}
