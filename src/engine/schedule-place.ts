import { isFinal } from "../core/run-status.js";
import type { RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { scheduleRunId, stateOf } from "./schedule-state.js";

const PREFIX = "$schedule:";

/** Which run stands for a schedule. */
export interface SchedulePlace {
  readonly id: string;
  /** Undefined: there is none, or it was purged. */
  readonly run: RunRecord | undefined;
  /** Of the ids that the schedule can have the n-th. */
  readonly turn: number;
  /** Of the value that holds `turn`; 0 for the first turn. */
  readonly version: number;
}

export async function schedulePlace(engine: Engine, name: string): Promise<SchedulePlace> {
  const first = scheduleRunId(name);
  const run = await readRun(engine, first);
  // It is only made anew under another id, so as long as it is there it is the one.
  if (run !== undefined) return { id: first, run, turn: 1, version: 0 };
  const stored = await engine.patience.until(() => engine.rawStorage.getValue(PREFIX + name));
  if (stored === undefined) return { id: first, run, turn: 1, version: 0 };
  const turn = Number(stored.value);
  const id = scheduleRunId(name, turn);
  return { id, run: await readRun(engine, id), turn, version: stored.version };
}

/** Another text after each registration and each end, and never again the same. Ticks and pauses do not count. */
export function seenOf({ run, turn }: SchedulePlace): string {
  if (run === undefined) return String(turn);
  const { changes = 0 } = stateOf(run);
  return [turn, run.generation, changes, isFinal(run.status) ? "over" : "open"].join("/");
}

/** The id of a purged run stays taken for a while: from now on the schedule has the next one. */
export async function leavePlace(
  engine: Engine,
  name: string,
  { turn, version }: SchedulePlace,
): Promise<void> {
  const next = String(turn + 1);
  await engine.patience.until(() => engine.rawStorage.setValue(PREFIX + name, next, version));
}

async function readRun(engine: Engine, id: string): Promise<RunRecord | undefined> {
  return (await engine.storage.getRuns([id]))[0];
}
