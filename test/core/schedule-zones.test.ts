import { describe, expect, test } from "vitest";
import { cronSchedule, tickAfter } from "../../src/core/schedule.js";

const zones = [
  "UTC",
  "Europe/Berlin",
  "Europe/London",
  "Europe/Lisbon",
  "Europe/Moscow",
  "America/New_York",
  "America/Los_Angeles",
  "America/Sao_Paulo",
  "America/St_Johns",
  "America/Santiago",
  "America/Havana",
  "Africa/Cairo",
  "Africa/Casablanca",
  "Asia/Kolkata",
  "Asia/Kathmandu",
  "Asia/Beirut",
  "Asia/Tokyo",
  "Australia/Sydney",
  "Australia/Lord_Howe",
  "Pacific/Chatham",
];

const FROM = Date.UTC(2026, 0, 1);
const TO = Date.UTC(2036, 0, 1);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A time in which the zone keeps one offset. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly offset: number;
}

/** Found by asking the runtime for the local time, and for nothing else. */
function stretchesOf(timeZone: string): Stretch[] {
  const format = new Intl.DateTimeFormat("en-CA", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  });
  const offsetAt = (at: number) => Date.parse(`${format.format(at).replace(", ", "T")}Z`) - at;
  const found: Stretch[] = [];
  let from = FROM - 2 * DAY;
  let offset = offsetAt(from);
  for (let at = from; at < TO + 2 * DAY; at += 6 * HOUR) {
    const later = offsetAt(at + 6 * HOUR);
    if (later === offset) continue;
    let low = at;
    let high = at + 6 * HOUR;
    while (high - low > MINUTE) {
      const middle = low + Math.floor((high - low) / 2 / MINUTE) * MINUTE;
      if (offsetAt(middle) === offset) low = middle;
      else high = middle;
    }
    found.push({ from, to: high, offset });
    from = high;
    offset = later;
  }
  return [...found, { from, to: TO + 2 * DAY, offset }];
}

/** Once a day at this time of day: the first time it comes; when it is left out, the moment of the change. */
function daily(stretches: readonly Stretch[], timeOfDay: number): number[] {
  const ticks: number[] = [];
  for (let day = FROM - DAY; day <= TO; day += DAY) {
    const wall = day + timeOfDay;
    const hit = stretches.find(
      ({ from, to, offset }) => wall - offset >= from && wall - offset < to,
    );
    if (hit !== undefined) ticks.push(wall - hit.offset);
    else ticks.push(stretches.find(({ from, offset }) => from + offset > wall)?.from ?? 0);
  }
  return within(ticks, FROM, TO);
}

/** Every hour at this minute, by real time. */
function hourly(stretches: readonly Stretch[], minute: number): number[] {
  const ticks: number[] = [];
  for (const { from, to, offset } of stretches) {
    const past = (((from + offset) % HOUR) + HOUR) % HOUR;
    const wait = (minute * MINUTE - past + HOUR) % HOUR;
    for (let at = from + wait; at < to; at += HOUR) ticks.push(at);
  }
  return ticks;
}

function within(ticks: readonly number[], from: number, to: number): number[] {
  return [...new Set(ticks)].filter((at) => at > from && at < to).sort((a, b) => a - b);
}

function ticksOf(cron: string, timezone: string, from: number, to: number): number[] {
  const schedule = cronSchedule({ cron, timezone }, "schedule");
  const found: number[] = [];
  for (let at = tickAfter(schedule, from, 0); at !== undefined && at < to; ) {
    found.push(at);
    at = tickAfter(schedule, at, 0);
  }
  return found;
}

const shown = (ticks: readonly number[]) => ticks.map((at) => new Date(at).toISOString());

describe("T12: ten years of ticks agree with the calendar of the zone", () => {
  test.each(zones)("%s", (zone) => {
    const stretches = stretchesOf(zone);
    for (const [cron, timeOfDay] of [
      ["30 2 * * *", 2.5 * HOUR],
      ["0 0 * * *", 0],
    ] as const) {
      const all = ticksOf(cron, zone, FROM, TO);
      expect(shown(all), cron).toEqual(shown(daily(stretches, timeOfDay)));
    }
    for (const { to } of stretches.slice(0, -1)) {
      const [from, until] = [to - DAY, to + DAY];
      const all = within(hourly(stretches, 15), from, until);
      expect(shown(ticksOf("15 * * * *", zone, from, until)), "hourly").toEqual(shown(all));
    }
  });
});
