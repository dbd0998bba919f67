import { compareVersions } from "../../src/core/job-options.js";
import { isFinal } from "../../src/core/run-status.js";
import { type Schedule, tickAfter } from "../../src/core/schedule.js";
import type { RunRecord } from "../../src/core/storage.js";
import { SCHEDULE_JOB, type ScheduleState, stateOf } from "../../src/engine/schedule-state.js";
import { Violation } from "./violation.js";

/** Of a tick whose schedule goes on, once the weather is good: a lease, a poll and some time to work. */
const LATEST_MS = 45_000;

export interface Tick {
  readonly at: number;
  /** The tick before it; undefined for the first since the schedule was registered. */
  readonly before: number | undefined;
}

/** Follows the rows of schedules: which ticks there were, and that nobody moves them. */
export class ScheduleWatch {
  readonly #now: () => number;
  /** By id of the schedule: the ticks that must have started runs, in their order. */
  readonly ticks = new Map<string, Tick[]>();
  /** Since when no fault excuses a tick that is late. */
  calmAt = Number.POSITIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  look(before: RunRecord | undefined, after: RunRecord): void {
    if (after.jobId !== SCHEDULE_JOB) return;
    if (isFinal(after.status)) {
      if (before !== undefined && !isFinal(before.status))
        this.#judgeEnded(after.id, stateOf(before), stateOf(after));
    } else if (before === undefined || isFinal(before.status)) {
      this.#judgeFirst(after.id, stateOf(after));
    } else this.#judgeChange(after.id, stateOf(before), stateOf(after));
  }

  #judgeFirst(id: string, { schedule, next, last }: ScheduleState): void {
    if (!this.ticks.has(id)) this.ticks.set(id, []);
    if (last !== undefined) throw broken(id, `it was registered anew, and had a tick at ${last}`);
    const latest = tickAfter(schedule, this.#now(), this.#now()) ?? 0;
    if ((next ?? 0) > latest) throw broken(id, `its first tick is at ${next}, not by ${latest}`);
  }

  #judgeChange(id: string, before: ScheduleState, after: ScheduleState): void {
    if (compareVersions(before.version, after.version) > 0)
      throw broken(id, `${after.version} took the place of ${before.version}`);
    const isOther = JSON.stringify(before.schedule) !== JSON.stringify(after.schedule);
    if (isOther) this.#judgeRedefined(id, before, after);
    else if (before.paused !== true) this.#tick(id, before, after);
    else if (after.paused !== true) this.#judgePhase(id, before, after);
    else if (before.next !== after.next) throw broken(id, "it went on while it was paused");
    if (before.paused !== true && after.paused === true) this.#judgeEnd(id, after);
  }

  /** A last tick may have come in the same batch. */
  #judgeEnded(id: string, before: ScheduleState, after: ScheduleState): void {
    if (before.paused === true) return;
    this.#judgeChange(id, before, after);
    this.#judgeEnd(id, after);
  }

  /** All ticks up to the next one count: their runs are looked for when all is over. */
  #tick(id: string, before: ScheduleState, after: ScheduleState): void {
    this.#judgePhase(id, before, after);
    const ticks = this.ticks.get(id) ?? [];
    let { last } = before;
    for (let at = before.next; at !== null && at < (after.next ?? 0); ) {
      if (at > this.#now()) throw broken(id, `its tick of ${at} came before its time`);
      // One that was ended and registered anew may begin with a tick that it had: that has its run.
      if (ticks.every((tick) => tick.at !== at)) ticks.push({ at, before: last });
      last = at;
      at = tickAfter(before.schedule, at, at) ?? null;
    }
    if (after.last !== last) throw broken(id, `its last tick is ${after.last}, not ${last}`);
  }

  #judgePhase(id: string, before: ScheduleState, { next }: ScheduleState): void {
    if (before.next === null || next === null || next < before.next)
      throw broken(id, `it went from ${before.next} back to ${next}`);
    // A tick that was due when a newer module came is still that of the older one.
    if (next !== before.next && !isTick(before.schedule, next, before.next))
      throw broken(id, `its tick of ${next} does not follow from that of ${before.next}`);
  }

  /** By a newer module: an interval counts from its last tick. */
  #judgeRedefined(
    id: string,
    before: ScheduleState,
    { schedule, next, last }: ScheduleState,
  ): void {
    if (before.last !== last) throw broken(id, "its last tick was changed by a registration");
    if (next === before.next || next === null) return;
    const latest = tickAfter(schedule, this.#now(), last ?? this.#now()) ?? 0;
    if (last !== undefined && next <= last)
      throw broken(id, `its tick of ${next} comes after the one of ${last}`);
    if (next > latest || (last !== undefined && !isTick(schedule, next, last)))
      throw broken(id, `its tick of ${next} does not follow from the one of ${last}`);
  }

  /** What somebody ends or pauses when all is well has ticked up to that moment, but for what is under way. */
  #judgeEnd(id: string, { next, paused }: ScheduleState): void {
    const late = Math.min(this.#now() - (next ?? 0), this.#now() - this.calmAt);
    if (late > LATEST_MS && (paused !== true || next !== null))
      throw broken(id, `its tick of ${next} is ${late} ms late`);
  }
}

function isTick(schedule: Schedule, instant: number, phase: number): boolean {
  return tickAfter(schedule, instant - 1, phase) === instant;
}

function broken(id: string, text: string): Violation {
  return new Violation("G22", `${id}: ${text}`);
}
