import {
  type CronOptions,
  cronSchedule,
  type IntervalOptions,
  intervalSchedule,
  type Schedule,
  type SchedulePolicyOptions,
  schedulePolicy,
} from "./schedule.js";
import type { Trigger, TriggerData } from "./trigger.js";

/** What `run` gets from a schedule. */
export interface ScheduledPayload {
  /** The instant of the tick; the run may start a little later. */
  readonly ts: Date;
  /** The tick before; undefined on the first one. */
  readonly lastTimestamp?: Date;
}

/**
 * Starts a run at each tick of a cron expression: one, however many processes
 * have the job. Clock changes: a time of day that is left out ticks at the moment
 * of the change, and one that comes twice ticks the first time only; where every
 * hour ticks, real hours count.
 *
 * @example
 * cronTrigger({ cron: "0 9 * * 1-5", timezone: "Europe/Berlin" })
 * @throws ConfigError TRIGGER_INVALID, OPTION_UNKNOWN, OPTION_INVALID
 */
export function cronTrigger(options: CronOptions): Trigger<ScheduledPayload> {
  const schedule = cronSchedule(options, "cronTrigger");
  return triggerOf(schedule, options, "cronTrigger");
}

/**
 * Starts a run every so many seconds: the first one interval after the job is
 * first registered, then in that phase, also over restarts.
 *
 * @example
 * intervalTrigger({ seconds: 300, catchUp: "one" })
 * @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID
 */
export function intervalTrigger(options: IntervalOptions): Trigger<ScheduledPayload> {
  const schedule = intervalSchedule(options, "intervalTrigger");
  return triggerOf(schedule, options, "intervalTrigger");
}

function triggerOf(
  schedule: Schedule,
  options: SchedulePolicyOptions,
  where: string,
): Trigger<ScheduledPayload> {
  const data: TriggerData = { type: "schedule", schedule, ...schedulePolicy(options, where) };
  return Object.freeze({ data, schema: undefined, examples: [] });
}
