import { ConfigError, describeValue } from "./errors.js";

/** How services write down when a rate limit is reset. */
export const resetFormats = [
  "unix_timestamp",
  "unix_timestamp_in_ms",
  "iso_8601",
  "iso_8601_duration_openai_variant",
  "seconds",
  "http_date",
] as const;
export type ResetFormat = (typeof resetFormats)[number];

const dayMs = 86_400_000;
/** The longest quotas are those of a month. */
const longestMs = 31 * dayMs;
/** No date, number or duration that a service writes is longer; patterns never see more. */
const longestText = 64;

const number = /^\d+(?:\.\d+)?$/;
const isoInstant =
  /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?<zone>[Zz]|[+-]\d\d:?\d\d)?$/;
const httpDate = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;
const openAiDuration =
  /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/;
const openAiUnits = [dayMs, 3_600_000, 60_000, 1000, 1];

/** Epoch ms, or NaN for what is not of the format. */
const readers: Readonly<Record<ResetFormat, (text: string, now: number) => number>> = {
  unix_timestamp: (text) => numberOf(text) * 1000,
  unix_timestamp_in_ms: numberOf,
  iso_8601: (text) => {
    const zone = isoInstant.exec(text)?.groups;
    if (zone === undefined) return Number.NaN;
    // Without a zone it would be read in that of this process.
    return Date.parse(zone.zone === undefined ? `${text}Z` : text);
  },
  iso_8601_duration_openai_variant: (text, now) => now + openAiMs(text),
  seconds: (text, now) => now + numberOf(text) * 1000,
  http_date: (text) => (httpDate.test(text) ? Date.parse(text) : Number.NaN),
};

function numberOf(text: string): number {
  return number.test(text) ? Number(text) : Number.NaN;
}

function openAiMs(text: string): number {
  const parts = text === "" ? undefined : openAiDuration.exec(text)?.slice(1);
  if (parts === undefined) return Number.NaN;
  return openAiUnits.reduce((sum, unit, index) => sum + Number(parts[index] ?? 0) * unit, 0);
}

/**
 * When a rate limit is reset, by what a response header says. `undefined` for
 * nothing, for a text that is not of the format, and for an instant that lies
 * more than a day back. An instant more than 31 days ahead counts as 31 days.
 *
 * | format | header, for instance |
 * |---|---|
 * | `unix_timestamp`, `unix_timestamp_in_ms` | `1767225600`, `1767225600000` |
 * | `iso_8601` | `2026-01-01T00:00:00Z`; without a zone it is UTC |
 * | `iso_8601_duration_openai_variant` | `1d2h3m4.5s`, `20s`, `6ms` from now |
 * | `seconds` | `30` from now, as in `Retry-After` |
 * | `http_date` | `Wed, 21 Oct 2026 07:28:00 GMT`, as in `Retry-After` |
 *
 * @example
 * const resetAt = calculateResetAt(response.headers.get("x-ratelimit-reset"), "unix_timestamp", new Date());
 * if (resetAt !== undefined) throw new RetryAfterError(resetAt);
 * @throws ConfigError `OPTION_INVALID` for an unknown format
 */
export function calculateResetAt(
  value: string | null | undefined,
  format: ResetFormat,
  now: Date,
): Date | undefined {
  assertResetFormat(format, "format of calculateResetAt");
  const text = value?.trim() ?? "";
  if (text.length > longestText) return undefined;
  const present = now.getTime();
  const instant = Math.ceil(readers[format](text, present));
  if (!(instant >= present - dayMs)) return undefined;
  return new Date(Math.min(instant, present + longestMs));
}

export function assertResetFormat(format: unknown, what: string): asserts format is ResetFormat {
  if ((resetFormats as readonly unknown[]).includes(format)) return;
  throw new ConfigError(
    "OPTION_INVALID",
    `${what} is ${describeValue(format)}; pass one of ${resetFormats.join(", ")}.`,
  );
}
