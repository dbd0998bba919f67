import { derivedId } from "../core/derived-id.js";
import { finalPatch } from "../core/final.js";
import { isFinal } from "../core/run-status.js";
import { dueTicks } from "../core/schedule.js";
import type { ScheduledPayload } from "../core/schedule-trigger.js";
import type { ClaimedRun, NewRun, RunRecord, RunWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { heardRun } from "./fan-out.js";
import type { Registration } from "./registry.js";
import { encodeMeta } from "./run-meta.js";
import { type ScheduleState, scheduleRunId, stateOf } from "./schedule-state.js";

/** Beside a lease: what a worker may take to notice that somebody died (contract E15). */
const LONGEST_POLL_MS = 30_000;

/** Name of the event that a tick counts as. */
const TICK_EVENT = "schedule";

/**
 * Starts the runs of the ticks that have come. They, the next tick and the end
 * of the lease are one commit, and the id of a run derives from its tick: so
 * there is one run for each, whoever dies in between.
 */
export async function tickSchedule(engine: Engine, { run }: ClaimedRun): Promise<void> {
  const jobId = run.id.slice(scheduleRunId("").length);
  // What the job's processes last said, also those that this one is older than.
  await engine.patience.until(() => engine.registry.refresh());
  const job = engine.registry.get(jobId);
  const state = stateOf(run);
  const write =
    job?.trigger.type === "schedule"
      ? await tickWrite(engine, run, state, job)
      : { run: finalPatch({ status: "CANCELED" }, engine.storeClock.now()) };
  await engine.queue.submit({
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch },
    ...write,
  });
}

async function tickWrite(
  engine: Engine,
  run: RunRecord,
  state: ScheduleState,
  job: Registration,
): Promise<Pick<RunWrite, "run" | "runs" | "release">> {
  const now = engine.storeClock.now();
  if (state.paused === true || state.next === null) return released(state, null);
  const graceMs = engine.leaseMs + LONGEST_POLL_MS;
  const {
    fire,
    next = null,
    last,
  } = dueTicks(state.schedule, state.catchUp, {
    next: state.next,
    now,
    graceMs,
  });
  const ticks = job.enabled ? await allowedTicks(engine, state, job.id, fire) : [];
  const runs: NewRun[] = [];
  for (const tick of ticks) {
    const before = runs.length === 0 ? state.last : ticks[runs.length - 1];
    runs.push(await tickRun(engine, run.id, { tick, before, jitterMs: state.jitterMs }, job));
  }
  const latest = runs.at(-1)?.id;
  const after: ScheduleState = {
    ...state,
    next,
    ...(last <= now ? { last } : undefined),
    ...(latest === undefined ? undefined : { runs: { ...state.runs, [job.id]: latest } }),
  };
  return { ...released(after, next), ...(runs.length === 0 ? undefined : { runs }) };
}

function released(state: ScheduleState, wakeAt: number | null): Pick<RunWrite, "run" | "release"> {
  return {
    run: { status: "WAITING", state: JSON.stringify(state), stalls: 0 },
    release: { wakeAt, wakeSignals: 0 },
  };
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
  {
    tick,
    before,
    jitterMs,
  }: { readonly tick: number; readonly before: number | undefined; readonly jitterMs: number },
  job: Registration,
): Promise<NewRun> {
  const id = derivedId("tick", scheduleId, String(tick), job.id);
  const payload: ScheduledPayload = {
    ts: new Date(tick),
    ...(before === undefined ? undefined : { lastTimestamp: new Date(before) }),
  };
  const meta = encodeMeta({ eventName: TICK_EVENT, eventTimestamp: tick, sourceId: job.id });
  const event = {
    id: `${scheduleId}:${tick}`,
    payload: await engine.codec.encode(payload),
    meta: meta ?? "",
  };
  const run = await heardRun(engine, event, job, engine.storeClock.now());
  const wakeAt = (run.wakeAt ?? 0) + fractionOf(id) * jitterMs;
  return { ...run, id, wakeAt: Math.round(wakeAt) };
}

/** The same for each try of one tick. */
function fractionOf(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16) / 2 ** 32;
}
