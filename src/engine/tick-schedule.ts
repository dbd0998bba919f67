import { derivedId } from "../core/derived-id.js";
import { finalPatch } from "../core/final.js";
import { isFinal } from "../core/run-status.js";
import { dueTicks } from "../core/schedule.js";
import type { ScheduledPayload } from "../core/schedule-trigger.js";
import type { ClaimedRun, NewRun, RunRecord, RunWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { heardRun } from "./fan-out.js";
import { idAt } from "./ids.js";
import type { KeptSchedule } from "./kept-schedules.js";
import { hooksOfOver, tellOfOver } from "./over-at-creation.js";
import type { Registration } from "./registry.js";
import { encodeMeta } from "./run-meta.js";
import { type ScheduleState, scheduleName, stateOf } from "./schedule-state.js";

/** Beside a lease: what a worker may take to notice that somebody died (contract E15). */
const LONGEST_POLL_MS = 30_000;

/** Name of the event that a tick counts as. */
const TICK_EVENT = "schedule";

/** Of a schedule that was claimed. */
export async function tickSchedule(engine: Engine, { run }: ClaimedRun): Promise<void> {
  // What the jobs' processes last said, also those that this one is older than.
  await engine.patience.until(() => engine.registry.refresh());
  await tick(engine, { id: run.id, epoch: run.epoch, state: stateOf(run) });
}

/**
 * Starts the runs of the ticks that have come. They, the next tick and the end
 * of the lease are one commit, and the id of a run derives from its tick: so
 * there is one run for each, whoever dies in between.
 */
export async function tick(engine: Engine, schedule: KeptSchedule): Promise<void> {
  const { id, epoch } = schedule;
  const jobs = jobsOf(engine, schedule, schedule.state);
  const after = jobs && (await ticked(engine, schedule, jobs));
  const { result } = await engine.queue.submit({
    runId: id,
    writeId: engine.writeIds.next(),
    guard: { epoch },
    ...(after === undefined
      ? { run: finalPatch({ status: "CANCELED" }, engine.storeClock.now()) }
      : writeOf(engine, after)),
  });
  if (result !== "ok" || after === undefined) return;
  // Not the epoch that was answered: to a repeated write that may be another holder's (contract S4).
  await engine.keptSchedules.keep({ id, epoch: epoch + 1, state: after.state }, after.dueAt);
  await tellOfOver(engine, after.runs);
}

interface Ticked {
  readonly state: ScheduleState;
  readonly runs: readonly NewRun[];
  readonly dueAt: number | null;
}

function writeOf(
  engine: Engine,
  { state, runs, dueAt }: Ticked,
): Pick<RunWrite, "run" | "runs" | "release"> {
  const hooks = hooksOfOver(engine, runs, engine.storeClock.now());
  return {
    run: { status: "WAITING", state: JSON.stringify(state), stalls: 0 },
    release: { wakeAt: dueAt, wakeSignals: 0 },
    ...(runs.length === 0 ? undefined : { runs: [...runs, ...hooks] }),
  };
}

/** Whose runs a tick starts; undefined if the job has no schedule of its own any more. */
export function jobsOf(
  engine: Engine,
  run: Pick<RunRecord, "id">,
  { dynamicId }: ScheduleState,
): Registration[] | undefined {
  const { registry } = engine;
  if (dynamicId !== undefined) return registry.jobsOfSchedule(dynamicId);
  const job = registry.get(scheduleName(run));
  if (job?.trigger.type !== "schedule") return undefined;
  return job.enabled ? [job] : [];
}

/** Its state once the ticks that have come are dealt with, and their runs. */
async function ticked(
  engine: Engine,
  { id, state }: KeptSchedule,
  jobs: readonly Registration[],
): Promise<Ticked> {
  const now = engine.storeClock.now();
  if (state.paused === true || state.next === null) return { state, runs: [], dueAt: null };
  const graceMs = engine.leaseMs + LONGEST_POLL_MS;
  const due = dueTicks(state.schedule, state.catchUp, { next: state.next, now, graceMs });
  const { fire, next = null, last } = due;
  const runs: NewRun[] = [];
  const latest: Record<string, string> = {};
  for (const job of jobs) {
    let before = state.last;
    for (const tick of await allowedTicks(engine, state, job.id, fire)) {
      const made = await tickRun(engine, id, state, { tick, before, job });
      runs.push(made);
      latest[job.id] = made.id;
      before = tick;
    }
  }
  const after: ScheduleState = {
    ...state,
    next,
    ...(last <= now ? { last } : undefined),
    ...(runs.length === 0 ? undefined : { runs: { ...state.runs, ...latest } }),
  };
  return { state: after, runs, dueAt: engine.keptSchedules.dueAt(next) };
}

/** With `overlap: "skip"`: none while the run of an earlier tick is open, and one of several that are due. */
async function allowedTicks(
  engine: Engine,
  { overlap, runs = {} }: ScheduleState,
  jobId: string,
  ticks: readonly number[],
): Promise<readonly number[]> {
  if (overlap === "allow" || ticks.length === 0) return ticks;
  const lastId = runs[jobId];
  const [last] = lastId === undefined ? [] : await engine.storage.getRuns([lastId]);
  return last !== undefined && !isFinal(last.status) ? [] : ticks.slice(0, 1);
}

async function tickRun(
  engine: Engine,
  scheduleId: string,
  state: ScheduleState,
  {
    tick,
    before,
    job,
  }: { readonly tick: number; readonly before: number | undefined; readonly job: Registration },
): Promise<NewRun> {
  const id = idAt(tick, derivedId("tick", scheduleId, String(tick), job.id));
  const eventId = idAt(tick, `:${scheduleId}`);
  const run = await scheduledRun(engine, state, { eventId, tick, before, job });
  const wakeAt = (run.wakeAt ?? 0) + fractionOf(id) * state.jitterMs;
  return { ...run, id, wakeAt: Math.round(wakeAt) };
}

/** The run of one job for an instant of its schedule, whether that ticks or is asked for. */
export async function scheduledRun(
  engine: Engine,
  { key, metadata, accountId }: ScheduleState,
  {
    eventId,
    tick,
    before,
    job,
  }: {
    readonly eventId: string;
    readonly tick: number;
    readonly before: number | undefined;
    readonly job: Registration;
  },
): Promise<NewRun> {
  const payload: ScheduledPayload = {
    ts: new Date(tick),
    ...(before === undefined ? undefined : { lastTimestamp: new Date(before) }),
  };
  const meta = encodeMeta({
    eventName: TICK_EVENT,
    eventTimestamp: tick,
    sourceId: key ?? job.id,
    ...(metadata === undefined ? undefined : { sourceMetadata: metadata }),
    ...(accountId === undefined ? undefined : { accountId }),
  });
  const event = { id: eventId, payload: await engine.codec.encode(payload), meta: meta ?? "" };
  return heardRun(engine, event, job, engine.storeClock.now());
}

/** The same for each try of one tick. */
function fractionOf(id: string): number {
  return Number.parseInt(id.slice(-8), 16) / 2 ** 32;
}
