import { ConfigError } from "./errors.js";
import {
  type Answer,
  type BackoffStrategy,
  type FetchRetry,
  type FetchRules,
  type FetchStrategy,
  type HeadersStrategy,
  headerOf,
  type Rule,
} from "./fetch-rules.js";
import { compileFilter, type FilterTest } from "./filter.js";
import { assertInteger, assertOptions, describe } from "./options.js";
import { assertResetFormat, calculateResetAt } from "./reset-at.js";
import { type RetryOptions, resolveRetry } from "./retry.js";
import { compileStatusPattern } from "./status-pattern.js";

const namesByStrategy: Readonly<Record<string, readonly string[]>> = {
  backoff: [
    "strategy",
    "bodyFilter",
    "limit",
    "factor",
    "minTimeoutInMs",
    "maxTimeoutInMs",
    "randomize",
  ],
  headers: [
    "strategy",
    "bodyFilter",
    "limit",
    "limitHeader",
    "remainingHeader",
    "resetHeader",
    "resetFormat",
  ],
};

/** @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID, FILTER_INVALID */
export function compileFetchRules(
  retry: FetchRetry | undefined,
  timeoutRetry: RetryOptions | undefined,
  where: string,
): FetchRules {
  if (retry !== undefined && (typeof retry !== "object" || retry === null || Array.isArray(retry)))
    throw invalid(
      `retry of ${where} is ${describe(retry)}; pass strategies by status, such as { "5xx": { strategy: "backoff" } }`,
    );
  const rules = Object.entries(retry ?? {}).map(([pattern, strategy]) =>
    ruleOf(pattern, strategy, `retry "${pattern}" of ${where}`),
  );
  const timeout = timeoutRetry === undefined ? undefined : resolveRetry(timeoutRetry);
  return { rules, timeout };
}

function ruleOf(pattern: string, strategy: FetchStrategy, where: string): Rule {
  const fits = compilePattern(pattern, where);
  const names =
    typeof strategy === "object" && strategy !== null
      ? Object.hasOwn(namesByStrategy, String(strategy.strategy)) &&
        namesByStrategy[strategy.strategy]
      : undefined;
  if (!names) {
    throw invalid(
      `${where} needs a strategy, { strategy: "backoff" } or { strategy: "headers", resetHeader }, got ${describe(strategy?.strategy ?? strategy)}`,
    );
  }
  assertOptions(strategy, names, where);
  const meets =
    strategy.bodyFilter === undefined
      ? undefined
      : compileFilter(strategy.bodyFilter, `bodyFilter of ${where}`);
  return strategy.strategy === "backoff"
    ? backoffRule(fits, meets, strategy)
    : headersRule(fits, meets, strategy, where);
}

function compilePattern(pattern: string, where: string): Rule["matches"] {
  if (pattern === "network") return (outcome) => outcome === "network";
  const fits = compileStatusPattern(pattern);
  if (fits === undefined) {
    throw invalid(
      `${where} is no pattern of statuses; write "429", "500-599", "4xx", "50x", several with commas between, "all" or "network"`,
    );
  }
  const all = pattern.split(",").some((part) => part.trim() === "all");
  return (outcome) => (outcome === "network" ? all : fits(outcome.status));
}

function backoffRule(
  fits: Rule["matches"],
  meets: FilterTest | undefined,
  { strategy: _, bodyFilter: __, ...retry }: BackoffStrategy,
): Rule {
  const matches: Rule["matches"] = (outcome) => fits(outcome) && meetsBody(meets, outcome);
  return { matches, retry: resolveRetry(retry) };
}

function headersRule(
  fits: Rule["matches"],
  meets: FilterTest | undefined,
  strategy: HeadersStrategy,
  where: string,
): Rule {
  const { limit, limitHeader, remainingHeader, resetHeader, resetFormat } = strategy;
  for (const [name, header] of Object.entries({ limitHeader, remainingHeader, resetHeader })) {
    const isMissing = header === undefined && name !== "resetHeader";
    if (!isMissing && (typeof header !== "string" || header === ""))
      throw invalid(`${name} of ${where} is ${describe(header)}; pass the name of a header`);
  }
  if (resetFormat !== undefined) assertResetFormat(resetFormat, `resetFormat of ${where}`);
  if (limit !== undefined) assertInteger(limit, `limit of ${where}`, { min: 0 });
  return {
    matches: (outcome) =>
      fits(outcome) && meetsBody(meets, outcome) && !hasRemaining(outcome, remainingHeader),
    retry: resolveRetry({ limit }),
    resetAt: (answer, now) =>
      calculateResetAt(
        headerOf(answer, resetHeader),
        resetFormat ?? "unix_timestamp",
        new Date(now),
      )?.getTime(),
    limitHeader,
  };
}

function meetsBody(meets: FilterTest | undefined, outcome: Answer | "network"): boolean {
  return meets === undefined || (outcome !== "network" && meets(outcome.data));
}

function hasRemaining(outcome: Answer | "network", header: string | undefined): boolean {
  if (outcome === "network" || header === undefined) return false;
  return Number(headerOf(outcome, header)) > 0;
}

function invalid(problem: string): ConfigError {
  return new ConfigError("OPTION_INVALID", `${problem}.`);
}
