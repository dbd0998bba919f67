import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileFetchRules } from "../../src/core/compile-fetch-rules.js";
import {
  type Answer,
  type FetchRetry,
  judge,
  mostTries,
  type NoAnswer,
} from "../../src/core/fetch-rules.js";
import type { RetryOptions } from "../../src/core/retry.js";
import { compileStatusPattern } from "../../src/core/status-pattern.js";

const exact = { strategy: "backoff", randomize: false } as const;
const half = () => 0.5;
const answer = (status: number, headers: Answer["headers"] = {}, data?: unknown): Answer => ({
  status,
  headers,
  data,
});

function verdict(
  retry: FetchRetry,
  outcome: Answer | NoAnswer,
  { tries = 1, timeout }: { tries?: number; timeout?: RetryOptions } = {},
) {
  return judge(compileFetchRules(retry, timeout, "io.x"), outcome, tries, 1_000_000, half);
}
const code = (call: () => unknown) => {
  try {
    return call();
  } catch (error) {
    return (error as { code: unknown }).code;
  }
};

describe("a pattern of statuses", () => {
  test.each<[string, number[], number[]]>([
    ["429", [429], [428, 430]],
    ["500-599", [500, 550, 599], [499, 600]],
    ["4xx", [400, 499], [399, 500]],
    ["4XX", [404], [504]],
    ["50x", [500, 509], [510, 499]],
    ["401,403", [401, 403], [402]],
    [" 401 , 5xx, 300 - 302 ", [401, 503, 301], [400, 303]],
    ["all", [100, 301, 404, 503, 999], [200, 204, 299]],
    ["all,200", [200, 500], [201]],
  ])("I20: %j is met by %j and not by %j", (pattern, some, others) => {
    const fits = compileStatusPattern(pattern) ?? (() => undefined);
    expect([...some, ...others].filter(fits)).toEqual(some);
  });

  test.each([
    "",
    "5",
    "5yy",
    "x00",
    "xxx",
    "4x4",
    "599-500",
    "500-",
    "401,,403",
    "0xx",
    "5000",
    "*",
  ])("I20: %j is none", (pattern) => {
    expect(compileStatusPattern(pattern)).toBeUndefined();
  });

  test("I20: a wildcard is the range of its hundred or ten", () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 999 }), (status) => {
        const fits = (pattern: string) => compileStatusPattern(pattern)?.(status);
        expect(fits("5xx")).toBe(fits("500-599"));
        expect(fits("42x")).toBe(fits("420-429"));
        expect(fits("all")).toBe(!fits("2xx"));
      }),
    );
  });
});

describe("judge", () => {
  test("I20: takes a success unless a rule names it", () => {
    expect(verdict({ all: exact }, answer(204))).toEqual({ kind: "accept" });
    expect(verdict({ "2xx": exact }, answer(204))).toEqual({ kind: "retry", at: 1_001_000 });
  });

  test("I20: rejects what no rule names, after a limit too", () => {
    expect(verdict({ "5xx": exact }, answer(404))).toEqual({ kind: "reject" });
    expect(verdict({}, "network")).toEqual({ kind: "reject" });
    expect(verdict({ "5xx": { ...exact, limit: 2 } }, answer(500), { tries: 2 })).toEqual({
      kind: "reject",
      limit: 2,
      allowed: undefined,
    });
  });

  test("I20: pauses are those of retry, randomness included", () => {
    const rule = { strategy: "backoff", minTimeoutInMs: 100, factor: 3, limit: 9 } as const;
    expect(verdict({ all: rule }, answer(500), { tries: 3 })).toEqual({
      kind: "retry",
      at: 1_000_000 + 100 * 3 * 1.5,
    });
  });

  test("I20: no pause is shorter than Retry-After says, be it seconds or a date", () => {
    const at = (retryAfter: string, tries = 1) =>
      verdict({ all: exact }, answer(503, { "retry-after": retryAfter }), { tries });
    expect(at("30")).toEqual({ kind: "retry", at: 1_030_000 });
    expect(at("Thu, 01 Jan 1970 00:17:00 GMT")).toEqual({ kind: "retry", at: 1_020_000 });
    // Not sooner either than the rule says.
    expect(at("0")).toEqual({ kind: "retry", at: 1_001_000 });
    expect(at("Thu, 01 Jan 1970 00:00:01 GMT")).toEqual({ kind: "retry", at: 1_001_000 });
    expect(at("soon")).toEqual({ kind: "retry", at: 1_001_000 });
    // A mistake of the service parks no run for years, and tries stay bounded.
    expect(at("999999999")).toEqual({ kind: "retry", at: 1_000_000 + 31 * 86_400_000 });
    expect(at("30", 5)).toMatchObject({ kind: "reject", limit: 5 });
  });

  test("I20: the first rule in the order of the object counts, numbers before the rest", () => {
    const slow = { ...exact, minTimeoutInMs: 9_000 };
    expect(verdict({ "4xx": exact, all: slow }, answer(429))).toMatchObject({ at: 1_001_000 });
    expect(verdict({ "4xx": exact, 429: slow }, answer(429))).toMatchObject({ at: 1_009_000 });
  });

  test("I20: a filter on the body passes over texts, other bodies and what got no answer", () => {
    const retry = { all: { ...exact, bodyFilter: { a: [1] } } };
    expect(verdict(retry, answer(500, {}, { a: 1 })).kind).toBe("retry");
    expect(verdict(retry, answer(500, {}, { a: 2 })).kind).toBe("reject");
    expect(verdict(retry, answer(500, {}, "a")).kind).toBe("reject");
    expect(verdict(retry, "network").kind).toBe("reject");
  });

  test("I20: all and network stand for tries without an answer, and a timeout has rules of its own", () => {
    const second = { kind: "retry", at: 1_001_000 };
    expect(verdict({ all: exact }, "network")).toEqual(second);
    expect(verdict({ network: exact }, "network")).toEqual(second);
    expect(verdict({ network: exact }, "timeout")).toEqual(second);
    expect(verdict({ network: exact }, answer(500)).kind).toBe("reject");
    expect(verdict({ "5xx": exact }, "network").kind).toBe("reject");
    const timeout = { randomize: false, minTimeoutInMs: 5_000 };
    expect(verdict({ all: exact }, "timeout", { timeout })).toMatchObject({ at: 1_005_000 });
    expect(verdict({ all: exact }, "network", { timeout })).toEqual(second);
  });

  describe("with the headers strategy", () => {
    const rule = {
      strategy: "headers",
      remainingHeader: "X-Remaining",
      resetHeader: "X-Reset",
      resetFormat: "seconds",
    } as const;
    const limited = { "x-reset": "60", "x-remaining": "0" };

    test("N4: without its header it is a backoff, which heeds Retry-After", () => {
      const headers = { "retry-after": "90" };
      expect(verdict({ all: rule }, answer(429, headers))).toEqual({
        kind: "retry",
        at: 1_090_000,
      });
      expect(verdict({ all: rule }, answer(429, { ...headers, "x-reset": "60" }))).toEqual({
        kind: "retry",
        at: 1_060_000,
      });
    });

    test("N4: waits until the reset", () => {
      expect(verdict({ all: rule }, answer(429, limited))).toEqual({
        kind: "retry",
        at: 1_060_000,
      });
      const { resetFormat: _, ...timestamp } = rule;
      expect(verdict({ all: timestamp }, answer(429, { "x-reset": "1100" }))).toEqual({
        kind: "retry",
        at: 1_100_000,
      });
    });

    test("N4: is bounded, five tries by default", () => {
      expect(verdict({ all: rule }, answer(429, limited), { tries: 4 }).kind).toBe("retry");
      expect(verdict({ all: rule }, answer(429, limited), { tries: 5 })).toMatchObject({
        kind: "reject",
        limit: 5,
      });
      const more = { ...rule, limit: 9, limitHeader: "X-Limit" };
      const headers = { ...limited, "x-limit": "60" };
      expect(verdict({ all: more }, answer(429, headers), { tries: 9 })).toEqual({
        kind: "reject",
        limit: 9,
        allowed: "60",
      });
    });

    test("N4: leaves an answer with requests left to the next rule", () => {
      const left = answer(403, { ...limited, "x-remaining": "3" });
      expect(verdict({ all: rule }, left).kind).toBe("reject");
      expect(verdict({ 403: rule, all: exact }, left)).toMatchObject({ at: 1_001_000 });
    });

    test("N4: falls back to pauses without a usable header, or without an answer", () => {
      for (const outcome of [answer(429), answer(429, { "x-reset": "soon" }), "network"] as const)
        expect(verdict({ all: rule }, outcome)).toEqual({ kind: "retry", at: 1_001_500 });
    });

    test("N4: a reset that is over, by a clock that is ahead, still means a pause", () => {
      expect(verdict({ all: rule }, answer(429, { "x-reset": "0" }))).toMatchObject({
        at: 1_001_000,
      });
    });
  });

  test("I20: tries are bounded by the largest limit", () => {
    expect(mostTries(compileFetchRules(undefined, undefined, "x"))).toBe(1);
    const retry = { "5xx": exact, 429: { ...exact, limit: 12 } };
    expect(mostTries(compileFetchRules(retry, { limit: 7 }, "x"))).toBe(12);
    expect(mostTries(compileFetchRules({}, { limit: 7 }, "x"))).toBe(7);
  });
});

describe("compileFetchRules", () => {
  const headers = { strategy: "headers", resetHeader: "x" };
  test.each<[unknown, string]>([
    [[], "OPTION_INVALID"],
    ["all", "OPTION_INVALID"],
    [null, "OPTION_INVALID"],
    [{ often: exact }, "OPTION_INVALID"],
    [{ all: null }, "OPTION_INVALID"],
    [{ all: undefined }, "OPTION_INVALID"],
    [{ all: "backoff" }, "OPTION_INVALID"],
    [{ all: {} }, "OPTION_INVALID"],
    [{ all: { strategy: "toString" } }, "OPTION_INVALID"],
    [{ all: { ...exact, resetHeader: "x" } }, "OPTION_UNKNOWN"],
    [{ all: { ...exact, limit: -1 } }, "OPTION_INVALID"],
    [{ all: { ...exact, bodyFilter: { a: 1 } } }, "FILTER_INVALID"],
    [{ all: { ...headers, factor: 2 } }, "OPTION_UNKNOWN"],
    [{ all: { ...headers, limit: 1.5 } }, "OPTION_INVALID"],
    [{ all: { ...headers, resetHeader: "" } }, "OPTION_INVALID"],
    [{ all: { ...headers, resetHeader: undefined } }, "OPTION_INVALID"],
    [{ all: { ...headers, limitHeader: 7 } }, "OPTION_INVALID"],
    [{ all: { ...headers, resetFormat: "date" } }, "OPTION_INVALID"],
  ])("I20: refuses %j", (retry, expected) => {
    expect(code(() => compileFetchRules(retry as FetchRetry, undefined, "io.x"))).toBe(expected);
  });

  test("I20: refuses wrong options for timeouts", () => {
    expect(code(() => compileFetchRules({}, { limit: -1 }, "io.x"))).toBe("OPTION_INVALID");
  });
});
