import { assertOptions } from "./options.js";
import { calculateResetAt, type ResetFormat } from "./reset-at.js";

/** The headers by which a service tells of one of its rate limits. */
export interface RateLimitHeaders {
  /** When the limit is reset. */
  readonly resetHeader: string;
  /** Default "unix_timestamp". */
  readonly resetFormat?: ResetFormat;
  /** How much is left. The limit does not count while that is above 0. */
  readonly remainingHeader?: string;
}

/** A `Headers` object, or header values by name. */
export type HeadersLike =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** A clock that is ahead of the service's must not use up all attempts at once. */
const shortestMs = 1_000;

/**
 * For `onError`: the next attempt when the rate limit is reset, by what the headers of an answer
 * say. `Retry-After` (seconds or a date) goes before `limits`; of several limits that are used up
 * the latest counts. At least a second ahead. `undefined` if the headers say nothing, so that
 * `retry` decides. Ask the status first: many services send these headers with each answer.
 *
 * @param now the fourth argument of `onError`
 * @example
 * const onError: OnError = (error, _task, _io, now) => {
 *   if (!(error instanceof ApiError) || error.status !== 429) return;
 *   const limit = { remainingHeader: "x-ratelimit-remaining", resetHeader: "x-ratelimit-reset" };
 *   return retryAfterReset(error.headers, [limit], now);
 * };
 * @throws ConfigError OPTION_INVALID for an unknown format, OPTION_UNKNOWN
 */
export function retryAfterReset(
  headers: HeadersLike | undefined,
  limits: readonly RateLimitHeaders[],
  now: Date,
): { readonly retryAt: Date } | undefined {
  if (headers === undefined) return undefined;
  const asked = retryAfter(headers, now);
  const resets = asked ? [asked] : limits.flatMap((limit) => resetOf(headers, limit, now) ?? []);
  if (resets.length === 0) return undefined;
  const instants = resets.map((reset) => reset.getTime());
  return { retryAt: new Date(Math.max(now.getTime() + shortestMs, ...instants)) };
}

/** `Retry-After`: seconds from now, or a date. */
export function retryAfter(headers: HeadersLike, now: Date): Date | undefined {
  const text = headerValue(headers, "retry-after");
  return calculateResetAt(text, "seconds", now) ?? calculateResetAt(text, "http_date", now);
}

function resetOf(headers: HeadersLike, limit: RateLimitHeaders, now: Date): Date | undefined {
  const known = ["resetHeader", "resetFormat", "remainingHeader"];
  assertOptions(limit, known, "a limit of retryAfterReset");
  const { resetHeader, resetFormat = "unix_timestamp", remainingHeader } = limit;
  const left = remainingHeader === undefined ? undefined : headerValue(headers, remainingHeader);
  return Number(left) > 0
    ? undefined
    : calculateResetAt(headerValue(headers, resetHeader), resetFormat, now);
}

/** Of a repeated header the first value. */
function headerValue(headers: HeadersLike, name: string): string | undefined {
  if (typeof headers.get === "function") return headers.get(name) ?? undefined;
  const wanted = name.toLowerCase();
  const [, value] = Object.entries(headers).find(([key]) => key.toLowerCase() === wanted) ?? [];
  return typeof value === "string" ? value : value?.[0];
}
