import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Duration, durationMs, instantOf, waitUntilMs } from "../../src/core/duration.js";

const hour = 3_600_000;
const invalid = expect.objectContaining({ name: "ConfigError", code: "OPTION_INVALID" });

describe("durationMs", () => {
  test.each<[Duration, number]>([
    [90, 90_000],
    [0.25, 250],
    [1.1, 1100],
    [0, 0],
    [-5, 0],
    [-0, 0],
    [0.0001, 0],
    ["90s", 90_000],
    ["1.5h", 1.5 * hour],
    ["2h 30m", 2.5 * hour],
    ["2h30m", 2.5 * hour],
    ["1d", 24 * hour],
    ["250ms", 250],
    ["1w", 168 * hour],
    ["0s", 0],
    ["  10  minutes  5 sec ", 605_000],
    ["1 week 1 day 1 hour 1 minute 1 second 1 millisecond", 694_861_001],
    ["2 weeks 2 days 2 hours 2 minutes 2 seconds 2 milliseconds", 1_389_722_002],
    ["1hr 2hrs 1min 2mins 2secs 1msec 2msecs", 3 * hour + 182_003],
    ["1h 1h", 2 * hour],
    [{ hours: 2, minutes: 30 }, 2.5 * hour],
    [{ weeks: 1, days: 1, hours: 1, minutes: 1, seconds: 1, milliseconds: 1 }, 694_861_001],
    [{ hours: 1, minutes: -30 }, hour / 2],
    [{ seconds: -1 }, 0],
    [{ hours: 1, minutes: undefined }, hour],
  ])("%j is %i milliseconds", (duration, expected) => {
    expect(durationMs(duration, "timeout")).toBe(expected);
  });

  test.each<[unknown, string]>([
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "Infinity"],
    ["", '""'],
    ["   ", '"   "'],
    ["90", '"90"'],
    ["s", '"s"'],
    ["-5s", '"-5s"'],
    ["1.s", '"1.s"'],
    [".5s", '".5s"'],
    ["1e3s", '"1e3s"'],
    ["1M", '"1M"'],
    ["1 fortnight", '"1 fortnight"'],
    ["1h,5m", '"1h,5m"'],
    ["1constructor", '"1constructor"'],
    [{}, "an object without units"],
    [{ hours: undefined }, "{ hours: undefined }"],
    [{ years: 1 }, "{ years: 1 }"],
    [{ years: undefined }, "{ years: undefined }"],
    [{ hours: 1, years: undefined }, "{ hours: 1, years: undefined }"],
    [{ hours: "2" }, '{ hours: "2" }'],
    [{ hours: Number.NaN, days: 1 }, "{ hours: NaN, days: 1 }"],
    [[5], "{ 0: 5 }"],
    [null, "null"],
    [undefined, "undefined"],
    [true, "true"],
    [5n, "5n"],
  ])("%o is refused by name and value", (duration, shown) => {
    const convert = () => durationMs(duration as Duration, "timeout");
    expect(convert).toThrow(invalid);
    expect(convert).toThrow(`timeout is ${shown}, which is no usable duration: pass seconds`);
  });

  test.each<Duration>([1e300, "99999999999999 weeks", { weeks: Number.MAX_VALUE }])(
    "%j is too long",
    (duration) => {
      expect(() => durationMs(duration, "ttl")).toThrow(invalid);
      expect(() => durationMs(duration, "ttl")).toThrow(/ttl is .+ it is too long for a date/);
    },
  );

  test("the three ways to write a duration agree", () => {
    const amounts = fc.record({
      hours: fc.nat(9999),
      minutes: fc.nat(9999),
      seconds: fc.nat(9999),
    });
    fc.assert(
      fc.property(amounts, ({ hours, minutes, seconds }) => {
        const expected = ((hours * 60 + minutes) * 60 + seconds) * 1000;
        expect(durationMs(expected / 1000, "d")).toBe(expected);
        expect(durationMs({ hours, minutes, seconds }, "d")).toBe(expected);
        expect(durationMs(`${hours}h ${minutes}m${seconds} s`, "d")).toBe(expected);
      }),
    );
  });

  test("any text gives whole milliseconds or the typed error", () => {
    const unit = fc.constantFrom("1", ".", " ", "h", "m", "s", "-", "e", "é", "\0");
    fc.assert(
      fc.property(fc.string({ unit }), (text) => {
        try {
          expect(durationMs(text, "d")).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toEqual(invalid);
        }
      }),
    );
  });
});

describe("waitUntilMs", () => {
  test("adds a duration to now", () => {
    expect(waitUntilMs("2s", 1000, "wait")).toBe(3000);
    expect(waitUntilMs(-10, 1000, "wait")).toBe(1000);
  });

  test("takes a date as it is, past ones and those of another realm too", () => {
    expect(waitUntilMs(new Date(5), 1000, "wait")).toBe(5);
    expect(waitUntilMs(runInNewContext("new Date(7)"), 1000, "wait")).toBe(7);
  });

  test("refuses what no date can hold", () => {
    const broken = () => waitUntilMs(new Date(Number.NaN), 0, "wait");
    expect(broken).toThrow(invalid);
    expect(broken).toThrow("wait is an invalid Date; pass a valid one.");
    expect(waitUntilMs(8.64e12, 0, "wait")).toBe(8.64e15);
    const late = () => waitUntilMs(8.64e12, 1, "wait");
    expect(late).toThrow(invalid);
    expect(late).toThrow("wait is 8640000000000, which is no usable duration: it ends later than");
  });
});

describe("instantOf", () => {
  test("is that of a valid date, also of another realm, and of nothing else", () => {
    expect(instantOf(new Date(5))).toBe(5);
    expect(instantOf(runInNewContext("new Date(7)"))).toBe(7);
    for (const other of [new Date(Number.NaN), null, undefined, true, 0, "2026-01-01", {}])
      expect(instantOf(other)).toBeUndefined();
  });
});
