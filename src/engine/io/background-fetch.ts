import { compileFetchRules } from "../../core/compile-fetch-rules.js";
import { ConfigError, isPawlError } from "../../core/errors.js";
import {
  type Answer,
  type FetchRules,
  judge,
  mostTries,
  type NoAnswer,
  type Verdict,
} from "../../core/fetch-rules.js";
import type { BackgroundFetchOptions, FetchInit } from "../../core/http.js";
import { type HttpRequest, isHeaderName, readRequest } from "../../core/http-request.js";
import type { OnErrorResult, Task } from "../../core/io.js";
import type { Key } from "../../core/key.js";
import { assertFunction, assertOptions, describe } from "../../core/options.js";
import { durationOfAtLeast } from "../../core/poll-plan.js";
import type { HeaderPair } from "../../core/redaction.js";
import type { TaskRecord } from "../../core/storage.js";
import { sendOnce } from "../http-try.js";
import { randomFraction } from "../ids.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { TaskRun } from "../task-run.js";
import { unexpectedAnswer } from "../unexpected-answer.js";
import { rejected } from "./run-task.js";

const DEFAULT_TIMEOUT_MS = 120_000;
const optionNames = ["retry", "timeout", "redact", "idempotencyHeader", "fetch", "name"];
/** They change nothing, so they need no key. */
const safeMethods = new Set(["GET", "HEAD", "OPTIONS"]);

export type FetchKind = "backgroundFetch" | "backgroundFetchResponse";

/** A checked call. */
interface Plan {
  readonly kind: FetchKind;
  readonly request: HttpRequest;
  readonly rules: FetchRules;
  readonly timeoutMs: number;
  readonly idempotencyHeader: string | undefined;
  readonly options: BackgroundFetchOptions;
}

/** A task whose callback sends the request, and whose rules decide when it is tried again. */
export function backgroundFetch<T>(
  scope: Scope,
  kind: FetchKind,
  key: Key,
  url: string | URL,
  init?: FetchInit,
  options: BackgroundFetchOptions = {},
): Promise<T> {
  const { execution } = scope;
  let plan: Plan;
  try {
    plan = checkedPlan(kind, url, init, options);
  } catch (error) {
    return rejected(error);
  }
  const decode = ({ output }: TaskRecord) => execution.engine.codec.decode(output ?? "");
  return execution.call<T>(scope, key, kind, decode, (op, earlier) => {
    const fetching = new Fetching(op, plan);
    const { name, redact } = options;
    const taskOptions = {
      ...(name === undefined ? undefined : { name }),
      params: plan.request.shown,
      redact: { paths: [...secretOutput(kind), ...(redact?.paths ?? [])] },
      // The rules have limits of their own; this one only must not be in their way.
      retry: { limit: mostTries(plan.rules) },
    };
    const callback = (task: Task) => fetching.try(task);
    new TaskRun(op, key, callback, taskOptions, () => fetching.next).begin(earlier);
  });
}

/** A replay needs the cookie, a reader does not. */
function secretOutput(kind: FetchKind): readonly string[] {
  return kind === "backgroundFetch" ? [] : ["headers.set-cookie"];
}

function checkedPlan(
  kind: FetchKind,
  url: string | URL,
  init: FetchInit | undefined,
  options: BackgroundFetchOptions,
): Plan {
  const where = `io.${kind}`;
  assertOptions(options, optionNames, where);
  const { retry, timeout, redact, fetch } = options;
  if (fetch !== undefined) assertFunction(fetch, `fetch of ${where}`);
  return {
    kind,
    request: readRequest(url, init, redact, where),
    rules: compileFetchRules(retry, timeout?.retry, where),
    timeoutMs: timeoutOf(timeout, where),
    idempotencyHeader: idempotencyHeaderOf(options.idempotencyHeader, where),
    options,
  };
}

function timeoutOf(timeout: BackgroundFetchOptions["timeout"], where: string): number {
  assertOptions(timeout, ["duration", "durationInMs", "retry"], `timeout of ${where}`);
  const { duration, durationInMs } = timeout ?? {};
  if (duration !== undefined && durationInMs !== undefined) {
    const problem = `timeout of ${where} has duration and durationInMs; pass one of them.`;
    throw new ConfigError("OPTION_INVALID", problem);
  }
  if (duration !== undefined) return durationOfAtLeast(1, duration, `timeout of ${where}`);
  if (durationInMs === undefined) return DEFAULT_TIMEOUT_MS;
  return durationOfAtLeast(1, { milliseconds: durationInMs }, `timeout of ${where}`);
}

function idempotencyHeaderOf(
  header: unknown = "idempotency-key",
  where: string,
): string | undefined {
  if (header === false) return undefined;
  if (isHeaderName(header)) return header.toLowerCase();
  const problem = `idempotencyHeader of ${where} is ${describe(header)}; pass the name of a header, or false.`;
  throw new ConfigError("OPTION_INVALID", problem);
}

/** The tries of one call in one execution. */
class Fetching {
  readonly #op: Op;
  readonly #plan: Plan;
  #retryAt: number | undefined;

  constructor(op: Op, plan: Plan) {
    this.#op = op;
    this.#plan = plan;
  }

  /** What follows the try that failed last. */
  get next(): OnErrorResult {
    return this.#retryAt === undefined
      ? { skipRetrying: true }
      : { retryAt: new Date(this.#retryAt) };
  }

  async try(task: Task): Promise<unknown> {
    this.#retryAt = undefined;
    const answer = await this.#send(task);
    const verdict = this.#judge(answer, task);
    task.outputProperties = [{ label: "status", text: String(answer.status) }];
    if (verdict.kind !== "accept") throw this.#unexpected(answer, verdict, task);
    const { status, headers, data } = answer;
    return this.#plan.kind === "backgroundFetch" ? data : { status, headers, data };
  }

  async #send(task: Task): Promise<Answer> {
    const { engine } = this.#op.scope.execution;
    const { request, options, timeoutMs } = this.#plan;
    try {
      return await sendOnce({
        request,
        headers: this.#idempotency(task),
        what: this.#what(task),
        fetch: options.fetch ?? engine.fetch,
        clock: engine.clock,
        timeoutMs,
        cap: engine.caps.taskOutputBytes,
        signal: task.signal,
      });
    } catch (error) {
      const reason = noAnswerOf(error);
      if (reason !== undefined) this.#judge(reason, task);
      throw error;
    }
  }

  #judge(outcome: Answer | NoAnswer, task: Task): Verdict {
    const now = this.#op.scope.execution.engine.storeClock.now();
    const verdict = judge(this.#plan.rules, outcome, task.attempt, now, randomFraction);
    if (verdict.kind === "retry") this.#retryAt = verdict.at;
    return verdict;
  }

  #idempotency(task: Task): HeaderPair[] {
    const { idempotencyHeader, request } = this.#plan;
    const isGiven = request.headers.some(([name]) => name === idempotencyHeader);
    if (idempotencyHeader === undefined || isGiven || safeMethods.has(request.method)) return [];
    return [[idempotencyHeader, task.idempotencyKey]];
  }

  #what(task: Task): string {
    const { method, url } = this.#plan.request.shown;
    return `${method} ${url} ("${this.#op.path}" of run ${this.#op.runId}, try ${task.attempt})`;
  }

  #unexpected(answer: Answer, verdict: Verdict, task: Task): Error {
    const { redaction } = this.#plan.request;
    return unexpectedAnswer(redaction, answer, this.#what(task), adviceOf(verdict));
  }
}

function adviceOf(verdict: Verdict): string {
  if (verdict.kind === "retry")
    return `It is tried again at ${new Date(verdict.at).toISOString()}.`;
  if (verdict.kind === "reject" && verdict.limit !== undefined) {
    const allowed = verdict.allowed === undefined ? "" : ` The service allows ${verdict.allowed}.`;
    return `The limit of its rule, ${verdict.limit}, is used up.${allowed} Raise it, or look at why the service answers so.`;
  }
  return "Correct the request, or add a rule for this status to retry.";
}

function noAnswerOf(error: unknown): NoAnswer | undefined {
  if (isPawlError(error, "TASK_TIMEOUT")) return "timeout";
  return isPawlError(error, "FETCH_FAILED") ? "network" : undefined;
}
