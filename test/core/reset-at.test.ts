import fc from "fast-check";
import { calculateResetAt, type ResetFormat } from "pawl";
import { describe, expect, test } from "vitest";
import { resetFormats } from "../../src/core/reset-at.js";

const now = new Date("2026-01-01T00:00:00Z");
const day = 86_400_000;
const msUntilReset = (value: string | null | undefined, format: ResetFormat) => {
  const resetAt = calculateResetAt(value, format, now);
  return resetAt && resetAt.getTime() - now.getTime();
};

describe("calculateResetAt", () => {
  test.each<[ResetFormat, string, number]>([
    ["unix_timestamp", "1767225600", 0],
    ["unix_timestamp", "1767225690", 90_000],
    ["unix_timestamp", "1767225600.5", 500],
    ["unix_timestamp_in_ms", "1767225600007", 7],
    ["iso_8601", "2026-01-01T00:01:00Z", 60_000],
    ["iso_8601", "2026-01-01T01:00:00.250+01:00", 250],
    ["iso_8601", "2026-01-01T00:01", 60_000],
    ["iso_8601_duration_openai_variant", "20s", 20_000],
    ["iso_8601_duration_openai_variant", "6ms", 6],
    ["iso_8601_duration_openai_variant", "6m0s", 360_000],
    ["iso_8601_duration_openai_variant", "1d2h3m4.5s", day + 7_384_500],
    ["iso_8601_duration_openai_variant", "1d2h3m4s5ms", day + 7_384_005],
    ["iso_8601_duration_openai_variant", "0s", 0],
    ["iso_8601_duration_openai_variant", "0.2ms", 1],
    ["seconds", "30", 30_000],
    ["seconds", " 0 ", 0],
    ["http_date", "Thu, 01 Jan 2026 00:02:00 GMT", 120_000],
    ["http_date", "Wed, 31 Dec 2025 23:59:00 GMT", -60_000],
  ])("N4: reads %s %j", (format, value, expected) => {
    expect(msUntilReset(value, format)).toBe(expected);
  });

  test.each<[ResetFormat, string]>([
    ["unix_timestamp", "30"],
    ["unix_timestamp", "soon"],
    ["unix_timestamp", "-1767225690"],
    ["unix_timestamp", "1767225690abc"],
    ["unix_timestamp", "1e10"],
    ["unix_timestamp_in_ms", "1767225600"],
    ["unix_timestamp_in_ms", "0x1"],
    ["iso_8601", "2026-01-01"],
    ["iso_8601", "2026-13-01T00:00:00Z"],
    ["iso_8601", "tomorrow"],
    ["iso_8601_duration_openai_variant", "1x"],
    ["iso_8601_duration_openai_variant", "1 d"],
    ["iso_8601_duration_openai_variant", "s"],
    ["iso_8601_duration_openai_variant", "3s2h"],
    ["iso_8601_duration_openai_variant", "PT20S"],
    ["seconds", "-1"],
    ["seconds", "Infinity"],
    ["seconds", "9".repeat(65)],
    ["http_date", "2026-01-01T00:00:00Z"],
    ["http_date", "Thu, 99 Jan 2026 00:02:00 GMT"],
  ])("N4: finds nothing of the format %s in %j", (format, value) => {
    expect(msUntilReset(value, format)).toBeUndefined();
  });

  test.each(resetFormats)("N4: %s of nothing is nothing", (format) => {
    expect(msUntilReset(null, format)).toBeUndefined();
    expect(msUntilReset(undefined, format)).toBeUndefined();
    expect(msUntilReset("", format)).toBeUndefined();
  });

  test("N4: an instant too far ahead is as far as quotas go", () => {
    expect(msUntilReset("1767225600000", "unix_timestamp")).toBe(31 * day);
    expect(msUntilReset("9".repeat(60), "seconds")).toBe(31 * day);
    expect(msUntilReset("400d", "iso_8601_duration_openai_variant")).toBe(31 * day);
  });

  test("N4: an unknown format is a mistake in the code", () => {
    expect(() => calculateResetAt("1", "retry_after" as ResetFormat, now)).toThrow(
      /format of calculateResetAt is "retry_after"; pass one of unix_timestamp,/,
    );
  });

  test("N4: whatever a service says, the instant is near or there is none", () => {
    const texts = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[\d.dhms]{1,20}$/),
      fc.date({ noInvalidDate: false }).map(String),
    );
    fc.assert(
      fc.property(texts, fc.constantFrom(...resetFormats), (text, format) => {
        const ms = msUntilReset(text, format);
        expect(ms === undefined || (ms >= -day && ms <= 31 * day)).toBe(true);
      }),
    );
  });
});
