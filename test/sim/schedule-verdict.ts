import { defaultCodec } from "../../src/core/codec.js";
import type { RunRecord } from "../../src/core/storage.js";
import { decodeMeta } from "../../src/engine/run-meta.js";
import { scheduleRunId } from "../../src/engine/schedule-state.js";
import type { ScheduledPayload } from "../../src/index.js";
import type { Tick } from "./schedule-watch.js";
import { DYNAMIC, TICKS, tickingJobs } from "./ticking.js";
import { textOf } from "./values.js";
import { Violation } from "./violation.js";
import type { World } from "./world.js";

/** One run for each tick, in their order, and none besides. */
export async function judgeTicks({ monitor }: World, runs: readonly RunRecord[]): Promise<void> {
  const ofTicks = runs.filter(({ jobId }) => tickingJobs.includes(jobId));
  const started = new Map<string, RunRecord[]>();
  for (const run of ofTicks) {
    const id = run.eventId?.slice(run.eventId.indexOf(":") + 1) ?? "";
    started.set(id, [...(started.get(id) ?? []), run]);
  }
  for (const [id, ticks] of monitor.schedules.ticks) {
    await judgeSchedule(id, ticks, started.get(id) ?? []);
    started.delete(id);
  }
  for (const id of started.keys()) throw new Violation("G22", `${id} ticked, and is no schedule`);
}

async function judgeSchedule(
  id: string,
  ticks: readonly Tick[],
  started: readonly RunRecord[],
): Promise<void> {
  const jobId = id === scheduleRunId(TICKS) ? TICKS : DYNAMIC;
  const runs = [...started].sort((a, b) => instantOf(a) - instantOf(b));
  const found = runs.map((run) => `${run.jobId} ${instantOf(run)}`);
  const expected = ticks.map(({ at }) => `${jobId} ${at}`);
  if (found.join() !== expected.join()) {
    const lost = expected.filter((each) => !found.includes(each));
    const more = found.filter((each, at) => !expected.includes(each) || found.indexOf(each) < at);
    throw new Violation(
      "G22",
      `${id}: lost ${lost.join() || "none"}, too many ${more.join() || "none"}: ${found.join()} instead of ${expected.join()}`,
    );
  }
  for (const [index, run] of runs.entries()) {
    const tick = ticks[index];
    if (tick !== undefined) await judgeTick(run, tick);
    if (run.createdAt < (runs[index - 1]?.createdAt ?? 0))
      throw new Violation("G22", `${id}: the tick of ${tick?.at} came before an earlier one`);
  }
}

async function judgeTick(run: RunRecord, { at, before }: Tick): Promise<void> {
  const payload = (await defaultCodec.decode(run.payload ?? "")) as ScheduledPayload;
  const last = payload.lastTimestamp?.getTime();
  if (payload.ts.getTime() !== at || last !== before)
    throw new Violation(
      "G22",
      `run ${run.id} of ${at} after ${before} got ${payload.ts} after ${last}`,
    );
  if (run.status !== "COMPLETED") return;
  const output = await defaultCodec.decode(run.output ?? "");
  if (textOf(output) !== textOf(payload))
    throw new Violation("G22", `run ${run.id} gave ${textOf(output)} for ${textOf(payload)}`);
}

function instantOf({ meta }: RunRecord): number {
  return decodeMeta(meta).eventTimestamp ?? 0;
}
