import { type HeadersLike, type RateLimitHeaders, retryAfterReset } from "pawl";
import { describe, expect, test } from "vitest";
import { thrownCode } from "../engine/support.js";

const now = new Date("2026-01-01T00:00:00Z");
const requests: RateLimitHeaders = {
  remainingHeader: "x-remaining-requests",
  resetHeader: "x-reset-requests",
  resetFormat: "seconds",
};
const tokens: RateLimitHeaders = {
  remainingHeader: "x-remaining-tokens",
  resetHeader: "x-reset-tokens",
  resetFormat: "seconds",
};
const secondsUntil = (headers: HeadersLike | undefined, limits = [requests, tokens]) => {
  const answer = retryAfterReset(headers, limits, now);
  return answer && (answer.retryAt.getTime() - now.getTime()) / 1000;
};

describe("retryAfterReset", () => {
  test("N4: waits until the limit that is used up is reset", () => {
    const headers = {
      "x-remaining-requests": "0",
      "x-reset-requests": "40",
      "x-remaining-tokens": "17",
      "x-reset-tokens": "90",
    };
    expect(secondsUntil(headers)).toBe(40);
    expect(secondsUntil(new Headers(headers))).toBe(40);
  });

  test("N4: of several limits that are used up the latest counts", () => {
    const used = { "x-remaining-requests": "0", "x-remaining-tokens": "0" };
    const headers = { ...used, "x-reset-requests": "40", "x-reset-tokens": "90" };
    expect(secondsUntil(headers)).toBe(90);
  });

  test("N4: a limit that does not tell what is left counts by its reset", () => {
    expect(secondsUntil({ "x-reset-requests": "40" })).toBe(40);
    expect(secondsUntil({ "x-reset": "1767225630" }, [{ resetHeader: "x-reset" }])).toBe(30);
  });

  test("N4: Retry-After, in seconds or as a date, goes before the limits", () => {
    const headers = { "x-reset-requests": "40" };
    expect(secondsUntil({ ...headers, "Retry-After": "7" })).toBe(7);
    const date = "Thu, 01 Jan 2026 00:02:00 GMT";
    expect(secondsUntil(new Headers({ ...headers, "retry-after": date }))).toBe(120);
    expect(secondsUntil({ ...headers, "retry-after": "soon" })).toBe(40);
  });

  test("N4: names of headers are found in any case, and of a repeated header the first value", () => {
    expect(secondsUntil({ "X-RESET-Requests": ["40", "50"] })).toBe(40);
  });

  test("N4: is at least a second ahead, for a clock that is ahead of the service's", () => {
    expect(secondsUntil({ "x-reset": "1767225590" }, [{ resetHeader: "x-reset" }])).toBe(1);
    expect(secondsUntil({ "retry-after": "0" })).toBe(1);
  });

  test("N4: decides nothing without headers, without those of a limit, or while something is left", () => {
    expect(secondsUntil(undefined)).toBeUndefined();
    expect(secondsUntil({})).toBeUndefined();
    expect(secondsUntil(new Headers())).toBeUndefined();
    expect(secondsUntil({ "x-remaining-requests": "1", "x-reset-requests": "9" })).toBeUndefined();
    expect(secondsUntil({ "x-reset-requests": undefined, "x-reset-tokens": [] })).toBeUndefined();
  });

  test("N4: a misspelt option and an unknown format throw", () => {
    const call = (limit: object) => () =>
      retryAfterReset({ a: "1" }, [limit as RateLimitHeaders], now);
    expect(thrownCode(call({ resetHeader: "a", format: "seconds" }))).toBe("OPTION_UNKNOWN");
    expect(thrownCode(call({ resetHeader: "a", resetFormat: "days" }))).toBe("OPTION_INVALID");
  });
});
