import type { EventFilter } from "./filter-types.js";
import { retryAfter } from "./rate-limit.js";
import type { ResetFormat } from "./reset-at.js";
import { type ResolvedRetry, type RetryOptions, retryDelayMs } from "./retry.js";
import { isSuccess } from "./status-pattern.js";

/** Growing pauses, as those of `runTask`; never shorter than the `Retry-After` of an answer says. */
export interface BackoffStrategy extends RetryOptions {
  readonly strategy: "backoff";
  /** The rule only counts for answers whose JSON body meets it. */
  readonly bodyFilter?: EventFilter;
}

/** Waits until the rate limit is reset, by what the answer's headers say. */
export interface HeadersStrategy {
  readonly strategy: "headers";
  /** How many requests are allowed; for the error text only. */
  readonly limitHeader?: string;
  /** How many are left. The rule does not count while that is above 0. */
  readonly remainingHeader?: string;
  /** Without it in an answer the pauses are those of "backoff". */
  readonly resetHeader: string;
  /** Default "unix_timestamp". */
  readonly resetFormat?: ResetFormat;
  readonly bodyFilter?: EventFilter;
  /** Tries in all. Default 5. */
  readonly limit?: number;
}

export type FetchStrategy = BackoffStrategy | HeadersStrategy;
export type FetchRetry = Readonly<Record<string, FetchStrategy>>;

/** What rules look at: an answer, its headers by names in lower case. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: unknown;
}

/** Why there is no answer. */
export type NoAnswer = "network" | "timeout";

/** A checked strategy of one pattern. */
export interface Rule {
  readonly matches: (outcome: Answer | "network") => boolean;
  readonly retry: ResolvedRetry;
  /** Epoch ms at which the rate limit of an answer is reset, if it says so. */
  readonly resetAt?: (answer: Answer, now: number) => number | undefined;
  readonly limitHeader?: string | undefined;
}

/** Checked rules of one call. */
export interface FetchRules {
  readonly rules: readonly Rule[];
  /** Of timeouts; without it they are looked up as "network". */
  readonly timeout: ResolvedRetry | undefined;
}

/** What follows a try. */
export type Verdict =
  | { readonly kind: "accept" }
  | { readonly kind: "retry"; readonly at: number }
  /** `limit`: of the rule that would have tried again, which is used up. */
  | { readonly kind: "reject"; readonly limit?: number; readonly allowed?: string | undefined };

/** A clock that is ahead of the service's must not use up all tries at once. */
const shortestResetMs = 1_000;

/**
 * What follows a try, by the first rule that matches.
 * @param tries how many there were, this one included
 * @param random a source of numbers in [0, 1)
 */
export function judge(
  { rules, timeout }: FetchRules,
  outcome: Answer | NoAnswer,
  tries: number,
  now: number,
  random: () => number,
): Verdict {
  const rule = firstRule(rules, outcome);
  const retry = outcome === "timeout" && timeout !== undefined ? timeout : rule?.retry;
  if (retry === undefined) {
    const isGood = typeof outcome === "object" && isSuccess(outcome.status);
    return { kind: isGood ? "accept" : "reject" };
  }
  const answer = typeof outcome === "object" ? outcome : undefined;
  const delay = retryDelayMs(retry, tries, random);
  if (delay === undefined) {
    return {
      kind: "reject",
      limit: retry.limit,
      allowed: answer && headerOf(answer, rule?.limitHeader),
    };
  }
  const resetAt = answer && rule?.resetAt?.(answer, now);
  if (resetAt !== undefined) return { kind: "retry", at: Math.max(resetAt, now + shortestResetMs) };
  const asked = answer && retryAfter(answer.headers, new Date(now));
  return { kind: "retry", at: Math.max(now + delay, asked?.getTime() ?? 0) };
}

function firstRule(rules: readonly Rule[], outcome: Answer | NoAnswer): Rule | undefined {
  const sought = outcome === "timeout" ? "network" : outcome;
  return rules.find((rule) => rule.matches(sought));
}

/** No rule allows more tries than this. */
export function mostTries({ rules, timeout }: FetchRules): number {
  const retries = [...rules.map(({ retry }) => retry), timeout];
  return Math.max(1, ...retries.map((retry) => retry?.limit ?? 1));
}

export function headerOf({ headers }: Answer, name: string | undefined): string | undefined {
  const key = name?.toLowerCase() ?? "";
  return Object.hasOwn(headers, key) ? headers[key] : undefined;
}
