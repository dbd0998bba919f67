import { Cron } from "croner";
import { type Duration, durationMs } from "./duration.js";
import { ConfigError, readSafely } from "./errors.js";
import { assertInteger, assertOptions, describe } from "./options.js";

/** When a schedule ticks, as plain data. */
export type Schedule =
  | { readonly type: "cron"; readonly cron: string; readonly timezone: string }
  | { readonly type: "interval"; readonly seconds: number };

export interface SchedulePolicy {
  /** What becomes of ticks that came while no worker ran. */
  readonly catchUp: CatchUp;
  /** Whether a tick starts a run while the last one's is open. */
  readonly overlap: Overlap;
  /** Runs start up to so many milliseconds late, each tick by another time. */
  readonly jitterMs: number;
}

export type CatchUp = "skip" | "one" | "all";
export type Overlap = "allow" | "skip";

export interface SchedulePolicyOptions {
  /**
   * For ticks that came while no worker ran: `"skip"` them (default), make up
   * for them by `"one"` run for the latest, or run `"all"` of them.
   */
  readonly catchUp?: CatchUp;
  /** `"skip"`: no run while the one of an earlier tick is open. Default `"allow"`. */
  readonly overlap?: Overlap;
  /** Each run starts by a random part of this later. Default 0. */
  readonly jitter?: Duration;
}

export interface CronOptions extends SchedulePolicyOptions {
  /** Five fields, or six with seconds first. */
  readonly cron: string;
  /** IANA name. Default "UTC". */
  readonly timezone?: string;
}

export interface IntervalOptions extends SchedulePolicyOptions {
  /** At least 1. The first tick is one interval after the schedule is first registered. */
  readonly seconds: number;
}

const policyNames = ["catchUp", "overlap", "jitter"];

/** @throws ConfigError TRIGGER_INVALID, OPTION_UNKNOWN, OPTION_INVALID */
export function cronSchedule(options: CronOptions, where: string): Schedule {
  assertOptions(options, ["cron", "timezone", ...policyNames], where);
  // Nothing at all is passed by those who do not check types.
  const { cron, timezone = "UTC" }: Partial<CronOptions> = options ?? {};
  const text = typeof cron === "string" ? cron.trim() : "";
  // What this library also takes: a date, or a year. A schedule that ends would be a surprise.
  const fields = text.split(/\s+/).length;
  if (fields !== 5 && fields !== 6) throw invalidCron(cron, where, "it needs five or six fields");
  assertTimezone(timezone, where);
  const schedule: Schedule = { type: "cron", cron: text, timezone };
  try {
    if (parsed(schedule).cron.nextRun(new Date(0)) === null) throw new Error("it never comes");
  } catch (error) {
    throw invalidCron(cron, where, String(readSafely(error, "message")));
  }
  return schedule;
}

function invalidCron(cron: unknown, where: string, problem: string): ConfigError {
  return new ConfigError(
    "TRIGGER_INVALID",
    `cron of ${where} is ${describe(cron)}, which cannot be used: ${problem}. Write minute, hour, day, month and weekday, such as "0 9 * * 1-5".`,
  );
}

function assertTimezone(timezone: unknown, where: string): void {
  try {
    if (typeof timezone !== "string") throw new Error("no text");
    new Intl.DateTimeFormat("en", { timeZone: timezone });
  } catch (cause) {
    throw new ConfigError(
      "TRIGGER_INVALID",
      `timezone of ${where} is ${describe(timezone)}; pass an IANA name such as "Europe/Berlin".`,
      { cause },
    );
  }
}

/** @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID */
export function intervalSchedule(options: IntervalOptions, where: string): Schedule {
  assertOptions(options, ["seconds", ...policyNames], where);
  const seconds: unknown = options?.seconds;
  assertInteger(seconds, `seconds of ${where}`, { min: 1, max: 31_536_000 });
  return { type: "interval", seconds };
}

export function schedulePolicy(
  { catchUp = "skip", overlap = "allow", jitter = 0 }: SchedulePolicyOptions,
  where: string,
): SchedulePolicy {
  assertOneOf(catchUp, ["skip", "one", "all"], `catchUp of ${where}`);
  assertOneOf(overlap, ["allow", "skip"], `overlap of ${where}`);
  return { catchUp, overlap, jitterMs: durationMs(jitter, `jitter of ${where}`) };
}

function assertOneOf(value: string, known: readonly string[], what: string): void {
  if (known.includes(value)) return;
  const list = known.map((each) => `"${each}"`).join(" or ");
  throw new ConfigError("OPTION_INVALID", `${what} is ${describe(value)}; pass ${list}.`);
}

type CronSchedule = Extract<Schedule, { type: "cron" }>;

interface ParsedCron {
  readonly cron: Cron;
  /** No tick lies between these instants, the second of which is one. */
  between: { readonly from: number; readonly next: number } | undefined;
}

const crons = new Map<string, ParsedCron>();
const MOST_CRONS = 1_000;

function parsed({ cron, timezone }: CronSchedule): ParsedCron {
  const key = `${timezone} ${cron}`;
  let found = crons.get(key);
  if (found === undefined) {
    if (crons.size >= MOST_CRONS) crons.clear();
    found = { cron: new Cron(cron, { timezone, paused: true }), between: undefined };
    crons.set(key, found);
  }
  return found;
}

/** A search costs more than all the rest of a tick, and schedules that are alike ask for the same. */
function cronTickAfter(schedule: CronSchedule, instant: number): number | undefined {
  const known = parsed(schedule);
  const { between } = known;
  if (between !== undefined && between.from <= instant && instant < between.next)
    return between.next;
  const next = known.cron.nextRun(new Date(instant))?.getTime();
  if (next !== undefined) known.between = { from: instant, next };
  return next;
}

/**
 * The first tick after an instant; undefined if there is none any more.
 *
 * Clock changes of a time zone: a time of day that is left out ticks at the
 * moment of the change, and one that comes twice ticks the first time only.
 * Where every hour ticks, real hours count, so there is no gap and no double.
 * @param phase of an interval: any of its ticks
 */
export function tickAfter(schedule: Schedule, instant: number, phase: number): number | undefined {
  if (schedule.type === "cron") return cronTickAfter(schedule, instant);
  const ms = schedule.seconds * 1000;
  return phase + (Math.floor((instant - phase) / ms) + 1) * ms;
}

export interface DueTicks {
  /** Those that start runs, oldest first. */
  readonly fire: readonly number[];
  /** When to look next: the next tick, or at once if there are more. */
  readonly next: number | undefined;
  /** The last tick that was dealt with, fired or not. */
  readonly last: number;
}

const MOST_AT_ONCE = 100;
/** A schedule that was away for so many ticks is not walked through tick by tick. */
const MOST_WALKED = 1_000;

/**
 * Which ticks up to now start runs. One is missed if it is older than
 * `graceMs`: within that time it may only have waited for a worker.
 */
export function dueTicks(
  schedule: Schedule,
  catchUp: CatchUp,
  { next, now, graceMs }: { readonly next: number; readonly now: number; readonly graceMs: number },
): DueTicks {
  const graceFrom = now - graceMs;
  const fire: number[] = [];
  let missed: number | undefined;
  let last = next;
  let tick: number | undefined = next;
  for (let count = 0; tick !== undefined && tick <= now; count++) {
    if (fire.length === MOST_AT_ONCE) return { fire, next: tick, last };
    if (catchUp === "all" || tick >= graceFrom) {
      if (catchUp === "one" && missed !== undefined) fire.push(missed);
      missed = undefined;
      fire.push(tick);
    } else {
      if (count === MOST_WALKED) tick = lastTickBefore(schedule, tick, graceFrom);
      missed = tick;
    }
    last = tick;
    tick = tickAfter(schedule, tick, next);
  }
  if (catchUp === "one" && missed !== undefined) fire.push(missed);
  return { fire, next: tick, last };
}

/** By halves, since a schedule only tells what comes next. `tick` is one of its ticks before `end`. */
function lastTickBefore(schedule: Schedule, tick: number, end: number): number {
  let found = tick;
  let to = end;
  while (found < to) {
    const middle = Math.floor((found + to) / 2);
    const later = tickAfter(schedule, middle, tick);
    if (later !== undefined && later < end) found = later;
    else to = middle;
  }
  return found;
}
