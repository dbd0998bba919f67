import { instantOf } from "../core/duration.js";
import {
  ConfigError,
  describeValue,
  isNonRetriable,
  isPawlError,
  retryAfterOf,
} from "../core/errors.js";
import type { Io, OnError, OnErrorResult, Task } from "../core/io.js";
import { type ResolvedRetry, resolveRetry, retryDelayMs } from "../core/retry.js";
import { randomFraction } from "./ids.js";

interface Failure {
  readonly error: unknown;
  readonly task: Task;
  readonly io: Io;
  readonly onError: OnError | undefined;
  /** undefined: nobody asked for retries. */
  readonly retry: ResolvedRetry | undefined;
  readonly failedAttempts: number;
  /** Asked again once the decision is made: `onError` may have taken its time. */
  now(): number;
}

export interface RetryDecision {
  readonly error: unknown;
  /** undefined: the task has failed for good. */
  readonly retryAt?: number;
}

/** What follows a failed attempt: the error's own wish, then `onError`, then `retry`. Attempts stay bounded. */
export async function decideRetry(failure: Failure): Promise<RetryDecision> {
  const decision = await askOnError(failure);
  if (decision.retryAt === undefined && !decision.skip) {
    const asked = retryAfterOf(decision.error);
    if (asked !== undefined) return boundedRetryAt(failure, decision.error, asked.getTime());
  }
  if (decision.skip || isNonRetriable(decision.error) || isUnstorable(decision.error))
    return { error: decision.error };
  if (decision.retryAt !== undefined)
    return boundedRetryAt(failure, decision.error, decision.retryAt);
  const retry = failure.retry ?? resolveRetry(undefined);
  const delay = retryDelayMs(retry, failure.failedAttempts, randomFraction);
  return delay === undefined
    ? { error: decision.error }
    : { error: decision.error, retryAt: failure.now() + delay };
}

interface Decision {
  readonly error: unknown;
  readonly retryAt?: number;
  readonly skip?: boolean;
}

async function askOnError(failure: Failure): Promise<Decision> {
  const { error, task, io, onError } = failure;
  if (onError === undefined) return { error };
  try {
    return decisionOf(failure, await onError(error, task, io, new Date(failure.now())));
  } catch (thrown) {
    return { error: thrown };
  }
}

/** May throw: the answer's getters are the user's code. */
function decisionOf(failure: Failure, answer: OnErrorResult): Decision {
  const { error } = failure;
  if (answer === undefined || answer === null) return { error };
  if (answer instanceof Error) return { error: answer };
  if (typeof answer === "object" && "skipRetrying" in answer && answer.skipRetrying === true)
    return { error, skip: true };
  const retryAt =
    typeof answer === "object" && "retryAt" in answer ? instantOf(answer.retryAt) : undefined;
  if (retryAt === undefined) return { error: badAnswer(failure, answer), skip: true };
  return { error: (answer as { readonly error?: Error }).error ?? error, retryAt };
}

/** A mistake in `onError` must not look like the task's own failure, nor be taken for "try again". */
function badAnswer({ error, task }: Failure, answer: unknown): ConfigError {
  return new ConfigError(
    "OPTION_INVALID",
    `onError of task "${task.id}" returned ${describeValue(answer)}. Return nothing, an Error, { retryAt: Date, error? } or { skipRetrying: true }.`,
    { cause: error },
  );
}

/** Asking for a time is asking for retries: without `retry` its default limit bounds the attempts. */
function boundedRetryAt(
  { retry, failedAttempts }: Failure,
  error: unknown,
  retryAt: number,
): RetryDecision {
  const limit = (retry ?? resolveRetry({})).limit;
  return failedAttempts >= limit ? { error } : { error, retryAt };
}

/** A value that cannot be stored will not be storable at the next attempt either, and code that is asynchronous stays so. */
function isUnstorable(error: unknown): boolean {
  return (
    isPawlError(error, "VALUE_NOT_SERIALIZABLE") ||
    isPawlError(error, "VALUE_TOO_LARGE") ||
    isPawlError(error, "TRANSACTION_ASYNC")
  );
}
