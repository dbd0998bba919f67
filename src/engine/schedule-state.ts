import { compareVersions } from "../core/job-options.js";
import { type Schedule, type SchedulePolicy, tickAfter } from "../core/schedule.js";
import type { RunRecord } from "../core/storage.js";

/** Internal job of schedules: the run of one is due at its next tick, and lives as long as it. */
export const SCHEDULE_JOB = "$schedule";

/** Kept in the row of the run. */
export interface ScheduleState extends SchedulePolicy {
  readonly schedule: Schedule;
  /** Of the job that registered it last: during a rolling deploy an older one changes nothing. */
  readonly version: string;
  /** The next tick; null if there is none any more. */
  readonly next: number | null;
  /** The last tick that was dealt with. */
  readonly last?: number;
  readonly paused?: boolean;
  /** How often it was registered otherwise, since it began or began anew. */
  readonly changes?: number;
  /** Of one that was registered with a dynamic schedule, under this key. */
  readonly dynamicId?: string;
  readonly key?: string;
  /** Encoded by the codec. */
  readonly metadata?: string;
  readonly accountId?: string;
  /** By job: the run of the last tick that started one. */
  readonly runs?: Readonly<Record<string, string>>;
}

export type ScheduleDefinition = Pick<
  ScheduleState,
  | "schedule"
  | "catchUp"
  | "overlap"
  | "jitterMs"
  | "version"
  | "dynamicId"
  | "key"
  | "metadata"
  | "accountId"
>;

/** A job's own schedule has the name of the job; no job id has a slash. */
export function dynamicName(dynamicId: string, key: string): string {
  return `${dynamicId}/${key}`;
}

/** By it the schedules of one dynamic schedule are listed. */
export function scheduleTag(dynamicId: string): string {
  return `schedule:${dynamicId}`;
}

/** `turn`: one that was purged is made anew under another id. */
export function scheduleRunId(name: string, turn = 1): string {
  return turn === 1 ? `${SCHEDULE_JOB}/${name}` : `${SCHEDULE_JOB}.${turn}/${name}`;
}

export function scheduleName({ id }: Pick<RunRecord, "id">): string {
  return id.slice(id.indexOf("/") + 1);
}

export function stateOf({ state }: Pick<RunRecord, "state">): ScheduleState {
  return JSON.parse(state ?? "{}") as ScheduleState;
}

export function firstState(definition: ScheduleDefinition, now: number): ScheduleState {
  return { ...definition, next: tickAfter(definition.schedule, now, now) ?? null };
}

/**
 * The state under a definition that may differ from the one before; undefined if
 * nothing is to be changed. A schedule that stays what it is keeps its next tick.
 * An interval of another length counts from the last tick.
 */
export function redefined(
  state: ScheduleState,
  definition: ScheduleDefinition,
  now: number,
): ScheduleState | undefined {
  if (compareVersions(state.version, definition.version) > 0) return undefined;
  const { next: due, last, paused, runs, changes = 0 } = state;
  const same: ScheduleState = {
    ...definition,
    next: due,
    ...(last === undefined ? undefined : { last }),
    ...(paused === undefined ? undefined : { paused }),
    ...(runs === undefined ? undefined : { runs }),
    ...(changes === 0 ? undefined : { changes }),
  };
  if (isSame(same, state)) return undefined;
  const next = { ...same, changes: changes + 1 };
  // A tick that has come is dealt with first.
  if (due !== null && due <= now) return next;
  if (JSON.stringify(state.schedule) === JSON.stringify(definition.schedule)) return next;
  // The phase of an interval is that of its last tick. `now` is older than that if it ticked meanwhile.
  const from = Math.max(now, last ?? now);
  return { ...next, next: tickAfter(definition.schedule, from, last ?? now) ?? null };
}

function isSame(a: ScheduleState, b: ScheduleState): boolean {
  const sorted = (state: ScheduleState) => JSON.stringify(Object.entries(state).sort());
  return sorted(a) === sorted(b);
}
