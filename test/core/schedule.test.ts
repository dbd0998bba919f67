import { describe, expect, test } from "vitest";
import {
  cronSchedule,
  dueTicks,
  intervalSchedule,
  type Schedule,
  schedulePolicy,
  tickAfter,
} from "../../src/core/schedule.js";
import { cronTrigger, intervalTrigger } from "../../src/core/schedule-trigger.js";
import { thrownCode } from "../engine/support.js";

const cron = (expression: string, timezone = "UTC") =>
  cronSchedule({ cron: expression, timezone }, "schedule");

function ticks(schedule: Schedule, from: string, count: number): string[] {
  const found: string[] = [];
  let at: number | undefined = Date.parse(from);
  while (found.length < count) {
    at = tickAfter(schedule, at, 0);
    if (at === undefined) break;
    found.push(new Date(at).toISOString().slice(0, 16));
  }
  return found;
}

describe("a cron schedule", () => {
  test("ticks at the times of day of its zone", () => {
    expect(ticks(cron("0 9 * * 1-5", "America/New_York"), "2026-07-03T00:00Z", 3)).toEqual([
      "2026-07-03T13:00",
      "2026-07-06T13:00",
      "2026-07-07T13:00",
    ]);
    expect(ticks(cron("15 10 * * *"), "2026-01-01T10:15Z", 1)).toEqual(["2026-01-02T10:15"]);
  });

  test("T12: with a time that a clock change leaves out ticks at the moment of the change", () => {
    expect(ticks(cron("30 2 * * *", "Europe/Berlin"), "2026-03-28T12:00Z", 2)).toEqual([
      "2026-03-29T01:00",
      "2026-03-30T00:30",
    ]);
  });

  test("T12: with a time that comes twice ticks the first time only", () => {
    expect(ticks(cron("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00Z", 2)).toEqual([
      "2026-10-25T00:30",
      "2026-10-26T01:30",
    ]);
  });

  test("T12: of every hour counts real hours through both changes", () => {
    const hourly = cron("0 * * * *", "Europe/Berlin");
    for (const from of ["2026-03-28T22:00Z", "2026-10-24T22:00Z"]) {
      const found = ticks(hourly, from, 6).map((text) => Date.parse(`${text}Z`));
      for (const [index, at] of found.entries()) {
        expect(at).toBe(Date.parse(from) + (index + 1) * 3_600_000);
      }
    }
  });

  test("is right also beside more others than are kept at hand", () => {
    const all = Array.from({ length: 1_100 }, (_, n) =>
      cron(`${n % 60} ${Math.floor(n / 60)} * * *`),
    );
    for (const [n, schedule] of all.entries()) {
      const at = tickAfter(schedule, 0, 0) ?? 0;
      expect(at / 60_000).toBe(n === 0 ? 1_440 : n);
    }
  });

  test.each<[what: string, options: object, text: string]>([
    ["nothing at all", undefined as never, "needs five or six fields"],
    ["no expression", {}, "needs five or six fields"],
    ["a number", { cron: 5 }, "needs five or six fields"],
    ["four fields", { cron: "* * * *" }, "needs five or six fields"],
    ["a year", { cron: "0 0 0 1 1 * 2030" }, "needs five or six fields"],
    ["a date", { cron: "2026-01-01T00:00:00" }, "needs five or six fields"],
    ["a minute that is none", { cron: "60 * * * *" }, "cannot be used"],
    ["words", { cron: "at noon every single day" }, "cannot be used"],
    ["a day that never comes", { cron: "0 0 31 2 *" }, "cannot be used"],
    ["an unknown zone", { cron: "* * * * *", timezone: "Europe/Atlantis" }, "IANA name"],
    ["no zone", { cron: "* * * * *", timezone: null }, "IANA name"],
  ])("with %s is refused where it is defined", (_what, options, text) => {
    expect(thrownCode(() => cronTrigger(options as never))).toBe("TRIGGER_INVALID");
    expect(() => cronTrigger(options as never)).toThrow(text);
  });
});

describe("an interval", () => {
  test("keeps its phase, whenever it is looked at", () => {
    const schedule = intervalSchedule({ seconds: 60 }, "schedule");
    expect(tickAfter(schedule, 1_000, 1_000)).toBe(61_000);
    expect(tickAfter(schedule, 60_999, 1_000)).toBe(61_000);
    expect(tickAfter(schedule, 61_000, 1_000)).toBe(121_000);
    expect(tickAfter(schedule, 500, 61_000)).toBe(1_000);
  });

  test("needs its options", () => {
    expect(thrownCode(() => intervalTrigger(undefined as never))).toBe("OPTION_INVALID");
  });

  test.each([0, -1, 1.5, 40_000_000, "60", undefined])("of %j seconds is refused", (seconds) => {
    expect(thrownCode(() => intervalTrigger({ seconds } as never))).toBe("OPTION_INVALID");
  });
});

describe("options of both", () => {
  test("are checked, and have defaults", () => {
    expect(schedulePolicy({}, "x")).toEqual({ catchUp: "skip", overlap: "allow", jitterMs: 0 });
    const wrong = [{ catchUp: "some" }, { overlap: "queue" }, { jitter: "soon" }];
    for (const options of wrong) {
      const call = () => intervalTrigger({ seconds: 60, ...options } as never);
      expect(thrownCode(call)).toBe("OPTION_INVALID");
    }
    const misspelt = { cron: "* * * * *", timeZone: "UTC" };
    expect(thrownCode(() => cronTrigger(misspelt as never))).toBe("OPTION_UNKNOWN");
    const other = { seconds: 60, cron: "* * * * *" };
    expect(thrownCode(() => intervalTrigger(other as never))).toBe("OPTION_UNKNOWN");
  });
});

describe("due ticks", () => {
  const minutely = intervalSchedule({ seconds: 60 }, "schedule");
  const due = (catchUp: "skip" | "one" | "all", now: number, graceMs = 90_000) =>
    dueTicks(minutely, catchUp, { next: 60_000, now, graceMs });

  test("that are not yet due are the next to look at", () => {
    expect(due("all", 59_999)).toEqual({ fire: [], next: 60_000, last: 60_000 });
  });

  test("are not missed within the grace, whatever is done about missed ones", () => {
    for (const catchUp of ["skip", "one", "all"] as const) {
      expect(due(catchUp, 149_999).fire).toEqual([60_000, 120_000]);
    }
  });

  test("that were missed are left out, or made up for by the latest, or all fired", () => {
    const now = 10 * 60_000 + 5_000;
    expect(due("skip", now)).toEqual({ fire: [540_000, 600_000], next: 660_000, last: 600_000 });
    expect(due("one", now).fire).toEqual([480_000, 540_000, 600_000]);
    expect(due("all", now).fire).toHaveLength(10);
    expect(due("one", now, 1_000).fire).toEqual([600_000]);
  });

  test("come by the hundred", () => {
    const { fire, next } = due("all", 1_000 * 60_000);
    expect(fire).toHaveLength(100);
    expect(next).toBe(101 * 60_000);
  });

  test("of years are not walked through one by one, and the phase is kept", () => {
    const secondly = intervalSchedule({ seconds: 1 }, "schedule");
    const now = 10 * 365 * 86_400_000 + 400;
    for (const catchUp of ["skip", "one"] as const) {
      const found = dueTicks(secondly, catchUp, { next: 1_500, now, graceMs: 2_000 });
      expect(found.fire.slice(-2)).toEqual([now - 1_900, now - 900]);
      expect(found.next).toBe(now + 100);
    }
  });

  test("of years are made up for by the latest of those that were missed", () => {
    const now = Date.parse("2026-07-03T10:02:30Z");
    for (const [schedule, next] of [
      [minutely, 60_000],
      [intervalSchedule({ seconds: 60 }, "schedule"), now - 1_500 * 60_000 - 30_000],
      [cron("* * * * *", "Asia/Tokyo"), Date.parse("2020-01-01T00:00Z")],
    ] as const) {
      const found = dueTicks(schedule, "one", { next, now, graceMs: 90_000 });
      expect(found.fire).toEqual([now - 150_000, now - 90_000, now - 30_000]);
      expect(found).toMatchObject({ last: now - 30_000, next: now + 30_000 });
    }
    const yearly = cron("0 0 1 1 *");
    const state = { next: Date.parse("0001-01-01T00:00Z"), now, graceMs: 0 };
    expect(dueTicks(yearly, "one", state).fire).toEqual([Date.parse("2026-01-01T00:00Z")]);
  });

  test("end with the schedule", () => {
    const never: Schedule = { type: "cron", cron: "0 0 31 2 *", timezone: "UTC" };
    const state = { next: 5, now: 10, graceMs: 100 };
    expect(dueTicks(never, "skip", state)).toEqual({ fire: [5], next: undefined, last: 5 });
  });
});

test("in whatever order instants are asked about, each gets the tick that comes after it", () => {
  const zone = "Europe/Berlin";
  const hour = 3_600_000;
  for (const expression of ["30 2 * * *", "0 * * * *", "0 9 * * 1"]) {
    for (const change of ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"]) {
      const from = Date.parse(change) - 30 * hour;
      const instants = Array.from({ length: 240 }, (_, n) => from + ((n * 77) % 240) * (hour / 4));
      instants.forEach((instant, n) => {
        // Written in another way it is another schedule, of which nothing is known yet.
        const fresh = cron(expression.replace(" ", " ".repeat(n + 2)), zone);
        const expected = tickAfter(fresh, instant, 0);
        expect(tickAfter(cron(expression, zone), instant, 0)).toBe(expected);
      });
    }
  }
});
