import { finalPatch } from "../core/final.js";
import { isFinal } from "../core/run-status.js";
import type { NewRun, RunRecord, RunWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { leavePlace, type SchedulePlace, schedulePlace } from "./schedule-place.js";
import {
  firstState,
  redefined,
  SCHEDULE_JOB,
  type ScheduleDefinition,
  type ScheduleState,
  scheduleTag,
  stateOf,
} from "./schedule-state.js";
import { createKeyedRun } from "./start-runs.js";

/** A registration of a schedule, or its end. */
export interface ScheduleChange {
  /** False: all is as it is to be. */
  isNeeded(place: SchedulePlace): boolean;
  /**
   * Changes what was found, in one write. "again": it is not there any more, somebody was faster.
   * "left": the id was that of one that was purged, so from now on there is another.
   */
  apply(place: SchedulePlace): Promise<"done" | "again" | "left">;
}

/** Of code outside of runs: whatever is there is changed. Answers whether anything was. */
export async function changeSchedule(
  engine: Engine,
  name: string,
  change: ScheduleChange,
): Promise<boolean> {
  for (;;) {
    const place = await schedulePlace(engine, name);
    if (!change.isNeeded(place)) return false;
    if ((await change.apply(place)) === "done") return true;
  }
}

/** Makes a schedule, changes it, or begins it anew. */
export function registration(
  engine: Engine,
  name: string,
  definition: ScheduleDefinition,
): ScheduleChange {
  return {
    isNeeded: ({ run }) => run === undefined || nextState(engine, run, definition) !== undefined,
    apply: async (place) => {
      if (place.run === undefined) return make(engine, name, place, definition);
      const state = nextState(engine, place.run, definition);
      if (state === undefined) return "done";
      return answerOf(engine, stateWrite(engine, place.run, state));
    },
  };
}

/** It ticks no more. */
export function ending(engine: Engine): ScheduleChange {
  return {
    isNeeded: isOpen,
    apply: async ({ run }) =>
      run === undefined ? "done" : answerOf(engine, endWrite(engine, run)),
  };
}

function isOpen({ run }: SchedulePlace): boolean {
  return run !== undefined && !isFinal(run.status);
}

/** What it becomes; undefined: it stays as it is. */
function nextState(
  engine: Engine,
  run: RunRecord,
  definition: ScheduleDefinition,
): ScheduleState | undefined {
  const state = stateOf(run);
  const now = engine.storeClock.now();
  // Whoever was asleep since it read the time brings no tick back that is dealt with.
  if (isFinal(run.status)) return firstState(definition, Math.max(now, state.last ?? now));
  return redefined(state, definition, now);
}

/** An id that is taken is that of one that somebody made meanwhile, or of one that was purged. */
async function make(
  engine: Engine,
  name: string,
  place: SchedulePlace,
  definition: ScheduleDefinition,
): Promise<"done" | "again" | "left"> {
  const first = scheduleRun(place.id, firstState(definition, engine.storeClock.now()));
  if ((await createKeyedRun(engine, first)).created) return "done";
  const [present] = await engine.storage.getRuns([place.id]);
  if (present !== undefined) return "again";
  await leavePlace(engine, name, place);
  return "left";
}

function scheduleRun(id: string, state: ScheduleState): NewRun {
  return {
    id,
    jobId: SCHEDULE_JOB,
    version: "0.0.0",
    status: "PENDING",
    wakeAt: state.next,
    payload: null,
    tags: state.dynamicId === undefined ? [] : [scheduleTag(state.dynamicId)],
    state: JSON.stringify(state),
  };
}

async function answerOf(engine: Engine, write: RunWrite): Promise<"done" | "again"> {
  const { result } = await engine.queue.submit(write);
  return result === "ok" ? "done" : "again";
}

/** Names the epoch: a tick in between makes the writer look again. */
export function stateWrite(engine: Engine, run: RunRecord, state: ScheduleState): RunWrite {
  const isOver = isFinal(run.status);
  const wakeAt = state.paused === true ? null : state.next;
  return {
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: isOver ? { generation: run.generation } : { epoch: run.epoch },
    run: { status: "WAITING", state: JSON.stringify(state), finishedAt: null },
    release: { wakeAt, wakeSignals: 0 },
    ...(isOver ? { reopen: true } : undefined),
  };
}

function endWrite(engine: Engine, run: RunRecord): RunWrite {
  return {
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch },
    run: finalPatch({ status: "CANCELED" }, engine.storeClock.now()),
  };
}
