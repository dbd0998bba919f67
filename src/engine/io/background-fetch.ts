import { isPawlError } from "../../core/errors.js";
import {
  type FetchKind,
  type FetchPlan,
  idempotencyHeaders,
  planFetch,
} from "../../core/fetch-plan.js";
import {
  type Answer,
  judge,
  mostTries,
  type NoAnswer,
  type Verdict,
} from "../../core/fetch-rules.js";
import { withoutPaths } from "../../core/hidden-paths.js";
import type { BackgroundFetchOptions, FetchInit } from "../../core/http.js";
import type { OnErrorResult, Task } from "../../core/io.js";
import type { Key } from "../../core/key.js";
import type { TaskRecord } from "../../core/storage.js";
import { sendOnce } from "../http-try.js";
import { randomFraction } from "../ids.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { TaskRun } from "../task-run.js";
import { unexpectedAnswer } from "../unexpected-answer.js";
import { rejected } from "./run-task.js";

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
  let plan: FetchPlan;
  try {
    plan = planFetch(kind, url, init, options);
  } catch (error) {
    return rejected(error);
  }
  const decode = ({ output }: TaskRecord) => execution.engine.codec.decode(output ?? "");
  return execution.call<T>(scope, key, kind, decode, (op, earlier) => {
    const fetching = new Fetching(op, plan);
    const { name, request, hiddenPaths } = plan;
    const taskOptions = {
      ...(name === undefined ? undefined : { name }),
      params: request.shown,
      redact: { paths: hiddenPaths },
      // The rules have limits of their own; this one only must not be in their way.
      retry: { limit: mostTries(plan.rules) },
    };
    const callback = (task: Task) => fetching.try(task);
    new TaskRun(op, key, callback, taskOptions, () => fetching.next).begin(earlier);
  });
}

/** The tries of one call in one execution. */
class Fetching {
  readonly #op: Op;
  readonly #plan: FetchPlan;
  #retryAt: number | undefined;

  constructor(op: Op, plan: FetchPlan) {
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
    const { request, fetch, timeoutMs } = this.#plan;
    try {
      return await sendOnce({
        request,
        headers: idempotencyHeaders(this.#plan, task.idempotencyKey),
        what: this.#what(task),
        fetch: fetch ?? engine.fetch,
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

  #what(task: Task): string {
    const { method, url } = this.#plan.request.shown;
    return `${method} ${url} ("${this.#op.path}" of run ${this.#op.runId}, try ${task.attempt})`;
  }

  #unexpected(answer: Answer, verdict: Verdict, task: Task): Error {
    const { kind, hiddenPaths, request } = this.#plan;
    const shown =
      kind === "backgroundFetch"
        ? { ...answer, data: withoutPaths(answer.data, hiddenPaths) }
        : withoutPaths(answer, hiddenPaths);
    return unexpectedAnswer(request.redaction, shown, this.#what(task), adviceOf(verdict));
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
