import { ConfigError, describeValue } from "./errors.js";

/**
 * A length of time: a number of **seconds**, a text such as `"90s"`, `"1.5h"` or `"2h 30m"`, or an
 * object such as `{ hours: 2, minutes: 30 }`. Numbers and objects that come to less than zero count
 * as zero.
 */
export type Duration = number | string | DurationParts;

/** A duration by units, added up. A day is 24 hours. At least one unit is needed. */
export interface DurationParts {
  readonly weeks?: number | undefined;
  readonly days?: number | undefined;
  readonly hours?: number | undefined;
  readonly minutes?: number | undefined;
  readonly seconds?: number | undefined;
  readonly milliseconds?: number | undefined;
}

const partMs: ReadonlyMap<string, number> = new Map([
  ["weeks", 604_800_000],
  ["days", 86_400_000],
  ["hours", 3_600_000],
  ["minutes", 60_000],
  ["seconds", 1000],
  ["milliseconds", 1],
]);

const unitMs: ReadonlyMap<string, number> = new Map([
  ...unitNames(604_800_000, "w", "week", "weeks"),
  ...unitNames(86_400_000, "d", "day", "days"),
  ...unitNames(3_600_000, "h", "hr", "hrs", "hour", "hours"),
  ...unitNames(60_000, "m", "min", "mins", "minute", "minutes"),
  ...unitNames(1000, "s", "sec", "secs", "second", "seconds"),
  ...unitNames(1, "ms", "msec", "msecs", "millisecond", "milliseconds"),
]);

// The last instant that a Date can hold.
const maxInstantMs = 8.64e15;

function unitNames(ms: number, ...names: string[]): [string, number][] {
  return names.map((name) => [name, ms]);
}

/**
 * A duration in whole milliseconds, never negative.
 * @param what how the error text calls it, for instance `"timeout"`
 * @throws ConfigError `OPTION_INVALID` for NaN, Infinity, a text or unit that is not understood, or
 * more than a Date can hold
 */
export function durationMs(duration: Duration, what: string): number {
  const ms = rawMs(duration);
  if (ms === undefined) {
    throw invalidDuration(
      duration,
      what,
      'pass seconds as a number, a text such as "90s" or "2h 30m", or { hours: 2 }',
    );
  }
  if (!(ms <= maxInstantMs))
    throw invalidDuration(duration, what, "it is too long for a date; pass a shorter one");
  return Math.max(Math.round(ms), 0);
}

/** A duration that is long enough to have a meaning. @throws ConfigError OPTION_INVALID */
export function durationOfAtLeast(minMs: number, duration: Duration, what: string): number {
  const ms = durationMs(duration, what);
  if (ms >= minMs) return ms;
  throw new ConfigError("OPTION_INVALID", `${what} is ${ms} ms; it must be at least ${minMs} ms.`);
}

function rawMs(duration: Duration): number | undefined {
  if (typeof duration === "number") return Number.isFinite(duration) ? duration * 1000 : undefined;
  if (typeof duration === "string") return textMs(duration);
  return typeof duration === "object" && duration !== null ? partsMs(duration) : undefined;
}

function partsMs(parts: DurationParts): number | undefined {
  let total: number | undefined;
  for (const [name, amount] of Object.entries<unknown>({ ...parts })) {
    if (amount === undefined && partMs.has(name)) continue;
    const ms = partMs.get(name);
    if (ms === undefined || typeof amount !== "number" || !Number.isFinite(amount))
      return undefined;
    total = (total ?? 0) + amount * ms;
  }
  return total;
}

// A hand-written scanner: it looks at each character once, whatever the text, which a pattern would
// not promise.
function textMs(text: string): number | undefined {
  let total: number | undefined;
  let position = skip(text, 0, isSpace);
  while (position < text.length) {
    const numberEnd = endOfNumber(text, position);
    const unitStart = skip(text, numberEnd, isSpace);
    const unitEnd = skip(text, unitStart, isLetter);
    const ms = unitMs.get(text.slice(unitStart, unitEnd));
    if (numberEnd === position || ms === undefined) return undefined;
    total = (total ?? 0) + Number(text.slice(position, numberEnd)) * ms;
    position = skip(text, unitEnd, isSpace);
  }
  return total;
}

/** End of `digits` or `digits.digits` at `start`; `start` itself if there is none. */
function endOfNumber(text: string, start: number): number {
  const whole = skip(text, start, isDigit);
  if (whole === start || text[whole] !== ".") return whole;
  const fraction = skip(text, whole + 1, isDigit);
  return fraction === whole + 1 ? start : fraction;
}

function skip(text: string, start: number, matches: (code: number) => boolean): number {
  let position = start;
  while (matches(text.charCodeAt(position))) position++;
  return position;
}

// charCodeAt is NaN past the end, and NaN matches none of these.
const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const isLetter = (code: number): boolean => code >= 97 && code <= 122;
const isSpace = (code: number): boolean => code === 32;

/**
 * The instant (milliseconds since the epoch) at which a wait ends. A `Date` is taken as it is, also
 * in the past.
 * @param now the current instant, in the same unit
 * @throws ConfigError `OPTION_INVALID` for an invalid `Date`, or as `durationMs` does
 */
export function waitUntilMs(when: Duration | Date, now: number, what: string): number {
  if (isDate(when)) {
    const instant = when.getTime();
    if (Number.isNaN(instant))
      throw new ConfigError("OPTION_INVALID", `${what} is an invalid Date; pass a valid one.`);
    return instant;
  }
  return instantAfter(when, now, what);
}

/**
 * The instant that comes a duration after `now`.
 * @throws ConfigError `OPTION_INVALID` as `durationMs` does, or if no Date can hold the instant
 */
export function instantAfter(duration: Duration, now: number, what: string): number {
  const instant = now + durationMs(duration, what);
  if (instant > maxInstantMs)
    throw invalidDuration(duration, what, "it ends later than a date can; pass a shorter one");
  return instant;
}

/** The instant of a valid `Date`, in milliseconds since the epoch; undefined for anything else. */
export function instantOf(value: unknown): number | undefined {
  const instant = isDate(value) ? value.getTime() : Number.NaN;
  return Number.isNaN(instant) ? undefined : instant;
}

// By tag, since a Date from another realm (a vm context, as test runners use) is no instance of
// ours.
function isDate(value: unknown): value is Date {
  return Object.prototype.toString.call(value) === "[object Date]";
}

function invalidDuration(duration: unknown, what: string, advice: string): ConfigError {
  return new ConfigError(
    "OPTION_INVALID",
    `${what} is ${shown(duration)}, which is no usable duration: ${advice}.`,
  );
}

function shown(duration: unknown): string {
  if (typeof duration !== "object" || duration === null) return describeValue(duration);
  const parts = Object.entries(duration).map(
    ([name, amount]) => `${name}: ${describeValue(amount)}`,
  );
  return parts.length === 0 ? "an object without units" : `{ ${parts.join(", ")} }`;
}
