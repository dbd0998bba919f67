import { durationOfAtLeast, instantOf } from "../../core/duration.js";
import { ConfigError } from "../../core/errors.js";
import type { Io, OnError, Task, TaskOptions } from "../../core/io.js";
import type { Key } from "../../core/key.js";
import { assertFunction, assertOptions } from "../../core/options.js";
import { resolveRetry } from "../../core/retry.js";
import type { Storage, TaskRecord } from "../../core/storage.js";
import type { Scope } from "../scope.js";
import { TaskRun } from "../task-run.js";
import { isThenable } from "../thenable.js";

/** `tx` is there in a task with `transaction: true`. */
export type TaskCallback = (task: Task, io: Io, tx?: unknown) => unknown;

const optionNames = [
  "name",
  "icon",
  "description",
  "properties",
  "params",
  "connectionKey",
  "style",
  "redact",
  "retry",
  "timeout",
  "delayUntil",
  "noop",
  "parseOutput",
  "mode",
  "transaction",
];

export function runTask<T>(
  scope: Scope,
  key: Key,
  callback: TaskCallback,
  options: TaskOptions<T> = noOptions,
  onError?: OnError,
): Promise<T> {
  const { engine } = scope.execution;
  const problem =
    problemOf(callback, options, onError) ?? transactionProblem(engine.rawStorage, options);
  if (problem !== undefined) return rejected(problem);
  const decode = (record: TaskRecord): unknown => {
    const output = record.output === null ? undefined : engine.codec.decode(record.output);
    const { parseOutput } = options;
    if (parseOutput === undefined) return output;
    return isThenable(output)
      ? Promise.resolve(output as PromiseLike<T>).then(parseOutput)
      : parseOutput(output);
  };
  return scope.execution.call<T>(scope, key, "task", decode, (op, earlier) => {
    new TaskRun(op, key, callback, options, onError).begin(earlier);
  });
}

const noOptions: TaskOptions<never> = {};

/** A rejection that does not end the process when nobody awaits it. */
export function rejected(error: unknown): Promise<never> {
  const rejection = Promise.reject(error);
  rejection.catch(() => {});
  return rejection;
}

function problemOf(callback: unknown, options: TaskOptions, onError: unknown): unknown {
  if (options === noOptions && typeof callback === "function" && onError === undefined)
    return undefined;
  try {
    if (onError !== undefined) assertFunction(onError, "onError of runTask");
    if (typeof callback !== "function" && options.noop !== true) {
      throw new ConfigError(
        "OPTION_INVALID",
        `runTask takes a callback as its second argument, got ${typeof callback}.`,
      );
    }
    assertOptions(options, optionNames, "runTask");
    if (options.timeout !== undefined) durationOfAtLeast(1, options.timeout, "timeout of runTask");
    if (options.parseOutput !== undefined)
      assertFunction(options.parseOutput, "parseOutput of runTask");
    if (options.retry !== undefined && options.retry !== false) resolveRetry(options.retry);
    if (options.delayUntil !== undefined && instantOf(options.delayUntil) === undefined) {
      throw new ConfigError("OPTION_INVALID", "delayUntil of runTask must be a valid Date.");
    }
    if (
      options.mode !== undefined &&
      options.mode !== "at-least-once" &&
      options.mode !== "at-most-once"
    ) {
      throw new ConfigError(
        "OPTION_INVALID",
        `mode of runTask is "${options.mode}". Use "at-least-once" or "at-most-once".`,
      );
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

function transactionProblem(
  storage: Storage,
  { transaction, mode, noop }: TaskOptions,
): ConfigError | undefined {
  if (transaction === undefined || transaction === false) return undefined;
  if (transaction !== true)
    return new ConfigError("OPTION_INVALID", "transaction of runTask is true or false.");
  if (mode !== undefined && mode !== "at-least-once")
    return new ConfigError(
      "OPTION_INVALID",
      `runTask got transaction: true and mode: "${mode}". Leave one of them out: what a transaction writes is there once.`,
    );
  if (storage.commitWith !== undefined || noop === true) return undefined;
  return new ConfigError(
    "TRANSACTION_UNSUPPORTED",
    `The storage "${storage.name}" cannot put a task with transaction: true into a transaction with its record. Use postgres(…) or sqlite(…), or leave transaction out.`,
  );
}
