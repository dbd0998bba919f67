import { type Duration, durationMs } from "./duration.js";
import { ConfigError } from "./errors.js";
import type { Answer } from "./fetch-rules.js";
import { compileFilter } from "./filter.js";
import type { ResponseFilter } from "./http.js";
import { assertOptions, describe } from "./options.js";
import { isSuccess } from "./status-pattern.js";

/** A checked `responseFilter`. @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID, FILTER_INVALID */
export function compileResponseFilter(
  filter: ResponseFilter,
  where: string,
): (answer: Answer) => boolean {
  if (filter === undefined || filter === null)
    throw new ConfigError(
      "OPTION_INVALID",
      `${where} needs a responseFilter, such as { body: { state: ["done"] } }, got ${describe(filter)}.`,
    );
  assertOptions(filter, ["status", "headers", "body"], `responseFilter of ${where}`);
  const { status, headers, body } = filter;
  if (status !== undefined && !Array.isArray(status))
    throw new ConfigError(
      "OPTION_INVALID",
      `status of responseFilter of ${where} is ${describe(status)}; pass a list such as [200, 201].`,
    );
  const ofFilter = `of responseFilter of ${where}`;
  const tests = {
    status: compileFilter(status === undefined ? {} : { status }, `status ${ofFilter}`),
    headers: compileFilter(lowerCased(headers ?? {}), `headers ${ofFilter}`),
    body: body === undefined ? () => true : compileFilter(body, `body ${ofFilter}`),
  };
  return (answer) =>
    (status !== undefined || isSuccess(answer.status)) &&
    tests.status(answer) &&
    tests.headers(answer.headers) &&
    tests.body(answer.data);
}

function lowerCased(headers: NonNullable<ResponseFilter["headers"]>): unknown {
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) return headers;
  return Object.fromEntries(
    Object.entries(headers).map(([name, matcher]) => [name.toLowerCase(), matcher]),
  );
}

/** A duration that is long enough to have a meaning. @throws ConfigError OPTION_INVALID */
export function durationOfAtLeast(minMs: number, duration: Duration, what: string): number {
  const ms = durationMs(duration, what);
  if (ms >= minMs) return ms;
  throw new ConfigError("OPTION_INVALID", `${what} is ${ms} ms; it must be at least ${minMs} ms.`);
}

export interface PollTimes {
  /** When the first poll was due, and when polling ends. */
  readonly startedAt: number;
  readonly deadlineAt: number;
  readonly intervalMs: number;
}

/**
 * When to poll again after an answer at `now` that did not fit; `undefined` once the time is over.
 * Polls keep their phase however long answers take. One that would come within half an interval is
 * left out. The last one is at the deadline.
 */
export function nextPollAt(
  { startedAt, deadlineAt, intervalMs }: PollTimes,
  now: number,
): number | undefined {
  if (now >= deadlineAt) return undefined;
  const steps = Math.ceil((now - startedAt) / intervalMs + 0.5);
  return Math.min(startedAt + Math.max(1, steps) * intervalMs, deadlineAt);
}
