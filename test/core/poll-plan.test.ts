import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { durationOfAtLeast } from "../../src/core/duration.js";
import type { ResponseFilter } from "../../src/core/http.js";
import { nextPollAt } from "../../src/core/poll-times.js";
import { compileResponseFilter } from "../../src/core/response-filter.js";

describe("nextPollAt", () => {
  const times = { startedAt: 1_000, deadlineAt: 101_000, intervalMs: 10_000 };

  test.each([
    ["at once", 1_000, 11_000],
    ["after a second", 2_000, 11_000],
    ["after less than half an interval", 5_999, 11_000],
    ["after more than half an interval", 6_001, 21_000],
    ["after several intervals", 34_000, 41_000],
    ["shortly before the end", 99_000, 101_000],
    ["at the end", 101_000, undefined],
    ["after the end", 500_000, undefined],
    ["before the start, by a clock that was set back", -90_000, 11_000],
  ])("I21: an answer %s", (_, now, expected) => {
    expect(nextPollAt(times, now)).toBe(expected);
  });

  test.each([
    ["sooner than the next poll", 12_000, 21_000],
    ["later than the next poll", 47_500, 47_500],
    ["beyond the end", 900_000, 101_000],
  ])("I21: an answer that asks for a pause, %s", (_, notBefore, expected) => {
    expect(nextPollAt(times, 11_000, notBefore)).toBe(expected);
  });

  test("I21: the next poll is ahead, in phase, at most one and a half intervals away, and ends at the deadline", () => {
    const ms = fc.integer({ min: 100, max: 1_000_000 });
    fc.assert(
      fc.property(ms, ms, ms, (intervalMs, timeoutMs, elapsed) => {
        const now = Math.min(elapsed, timeoutMs - 1);
        const at = nextPollAt({ startedAt: 0, deadlineAt: timeoutMs, intervalMs }, now) ?? -1;
        expect(at).toBeGreaterThan(now);
        expect(at).toBeLessThanOrEqual(Math.min(timeoutMs, now + 1.5 * intervalMs));
        expect(at === timeoutMs || at % intervalMs === 0).toBe(true);
      }),
    );
  });
});

describe("compileResponseFilter", () => {
  const fits = (filter: ResponseFilter, status: number, headers = {}, data: unknown = {}) =>
    compileResponseFilter(filter, "io.x")({ status, headers, data });

  test("I21: an empty filter is met by a success", () => {
    expect(fits({}, 204)).toBe(true);
    expect(fits({}, 302)).toBe(false);
    expect(fits({}, 500)).toBe(false);
  });

  test("I21: each part counts", () => {
    const filter = { status: [200, 404], headers: { "X-A": ["1"] }, body: { a: [true] } };
    expect(fits(filter, 404, { "x-a": "1" }, { a: true })).toBe(true);
    expect(fits(filter, 201, { "x-a": "1" }, { a: true })).toBe(false);
    expect(fits(filter, 200, { "x-a": "2" }, { a: true })).toBe(false);
    expect(fits(filter, 200, {}, { a: true })).toBe(false);
    expect(fits(filter, 200, { "x-a": "1" }, { a: false })).toBe(false);
    expect(fits(filter, 200, { "x-a": "1" }, "text")).toBe(false);
    expect(fits({ headers: { "x-a": [{ $exists: false }] } }, 200)).toBe(true);
    expect(fits({ body: {} }, 200, {}, "text")).toBe(true);
  });

  test.each<[unknown, string]>([
    [undefined, "OPTION_INVALID"],
    [null, "OPTION_INVALID"],
    [7, "OPTION_INVALID"],
    [{ statuses: [200] }, "OPTION_UNKNOWN"],
    [{ status: 200 }, "OPTION_INVALID"],
    [{ status: [{ $near: 200 }] }, "FILTER_INVALID"],
    [{ headers: ["x-a"] }, "FILTER_INVALID"],
    [{ headers: "x-a" }, "FILTER_INVALID"],
    [{ body: [1] }, "FILTER_INVALID"],
    [{ body: null }, "FILTER_INVALID"],
  ])("I21: refuses %j", (filter, code) => {
    const compile = () => compileResponseFilter(filter as ResponseFilter, "io.x");
    expect(compile).toThrow(expect.objectContaining({ code }));
  });
});

test("a duration has a least length", () => {
  expect(durationOfAtLeast(100, "1s", "interval")).toBe(1_000);
  expect(() => durationOfAtLeast(100, 0, "interval")).toThrow(
    /interval is 0 ms; it must be at least 100 ms/,
  );
});
