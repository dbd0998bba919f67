import { isPawlError, WaitTimeoutError } from "../../core/errors.js";
import type { Answer } from "../../core/fetch-rules.js";
import { withoutPaths } from "../../core/hidden-paths.js";
import type { BackgroundPollOptions } from "../../core/http.js";
import type { OnErrorResult, Task } from "../../core/io.js";
import type { Key } from "../../core/key.js";
import { type PollPlan, planPoll } from "../../core/poll-plan.js";
import { nextPollAt, type PollTimes } from "../../core/poll-times.js";
import { retryAfter } from "../../core/rate-limit.js";
import type { TaskRecord } from "../../core/storage.js";
import { decodeTaskData, encodeTaskData } from "../../core/task-data.js";
import { sendOnce } from "../http-try.js";
import type { Op } from "../op.js";
import type { Scope } from "../scope.js";
import { displayData } from "../task-display.js";
import { TaskRun } from "../task-run.js";
import { unexpectedAnswer } from "../unexpected-answer.js";
import { rejected } from "./run-task.js";

/** A task with an attempt for each poll; of very many the record keeps the last. */
export function backgroundPoll<T>(
  scope: Scope,
  key: Key,
  options: BackgroundPollOptions,
): Promise<T> {
  const { execution } = scope;
  let plan: PollPlan;
  try {
    plan = planPoll(options);
  } catch (error) {
    return rejected(error);
  }
  const decode = ({ output }: TaskRecord) => execution.engine.codec.decode(output ?? "");
  return execution.call<T>(scope, key, "backgroundPoll", decode, (op, earlier) => {
    startPolling(op, key, plan, earlier);
  });
}

/** The end is on record before the first poll: a crash must not put it off. */
function startPolling(op: Op, key: Key, plan: PollPlan, earlier: TaskRecord | undefined): void {
  const { execution, tag } = op.scope;
  const now = execution.engine.storeClock.now();
  const recorded = decodeTaskData(earlier?.data ?? null).deadlineAt;
  const deadlineAt = recorded ?? now + plan.timeoutMs;
  const { name, hiddenPaths } = plan;
  const taskOptions = {
    ...(name === undefined ? undefined : { name }),
    params: plan.request.shown,
    ...(hiddenPaths === undefined ? undefined : { redact: { paths: hiddenPaths } }),
    retry: { limit: Number.MAX_SAFE_INTEGER },
    deadlineAt,
  };
  if (recorded === undefined) {
    const data = encodeTaskData({ ...displayData(taskOptions), tag });
    execution.record(op, { status: "WAITING", attempts: 0, wakeAt: now, data });
  }
  const polling = new Polling(op, plan, deadlineAt);
  const callback = (task: Task) => polling.poll(task);
  new TaskRun(op, key, callback, taskOptions, () => polling.next).begin(
    recorded === undefined ? undefined : earlier,
  );
}

/** The polls of one call in one execution. */
class Polling {
  readonly #op: Op;
  readonly #plan: PollPlan;
  readonly #times: PollTimes;
  #nextAt: number | undefined;

  constructor(op: Op, plan: PollPlan, deadlineAt: number) {
    this.#op = op;
    this.#plan = plan;
    const { intervalMs, timeoutMs } = plan;
    this.#times = { startedAt: deadlineAt - timeoutMs, deadlineAt, intervalMs };
  }

  /** What follows the poll that failed last. */
  get next(): OnErrorResult {
    return this.#nextAt === undefined
      ? { skipRetrying: true }
      : { retryAt: new Date(this.#nextAt) };
  }

  async poll(task: Task): Promise<unknown> {
    this.#nextAt = undefined;
    let miss: Error;
    let answer: Answer | undefined;
    try {
      answer = await this.#send(task);
      if (this.#plan.fits(answer)) return answer.data;
      miss = this.#unexpected(answer, task);
    } catch (error) {
      miss = error as Error;
      // The rest will not be another at the next poll.
      if (!isPawlError(error, "FETCH_FAILED") && !isPawlError(error, "TASK_TIMEOUT")) throw error;
    }
    this.#nextAt = this.#nextAfter(answer);
    throw this.#nextAt === undefined ? this.#timeout(miss, task) : withoutStack(miss);
  }

  #nextAfter(answer: Answer | undefined): number | undefined {
    const now = this.#op.scope.execution.engine.storeClock.now();
    const asked = retryAfter(answer?.headers ?? {}, new Date(now));
    return nextPollAt(this.#times, now, asked?.getTime());
  }

  #send(task: Task): Promise<Answer> {
    const { engine } = this.#op.scope.execution;
    const { request, fetch, requestTimeoutMs } = this.#plan;
    return sendOnce({
      request,
      headers: [],
      what: this.#what(task),
      fetch: fetch ?? engine.fetch,
      clock: engine.clock,
      timeoutMs: requestTimeoutMs,
      cap: engine.caps.taskOutputBytes,
      signal: task.signal,
    });
  }

  #what({ attempt }: Task): string {
    const { method, url } = this.#plan.request.shown;
    return `${method} ${url} ("${this.#op.path}" of run ${this.#op.runId}, poll ${attempt})`;
  }

  #unexpected(answer: Answer, task: Task): Error {
    const { request, hiddenPaths = [] } = this.#plan;
    const shown = { ...answer, data: withoutPaths(answer.data, hiddenPaths) };
    const text = "It does not meet responseFilter.";
    return unexpectedAnswer(request.redaction, shown, this.#what(task), text);
  }

  #timeout(miss: Error, { attempt }: Task): WaitTimeoutError {
    const { path, runId } = this.#op;
    return new WaitTimeoutError(
      `"${path}" of run ${runId} polled ${attempt} time(s) and got no answer that meets responseFilter. The last one: ${miss.message} Raise the timeout, or look whether the filter fits what the service answers.`,
      { cause: miss },
    );
  }
}

/** There are as many as polls, and all from the same place. */
function withoutStack(error: Error): Error {
  Object.defineProperty(error, "stack", { value: undefined, configurable: true });
  return error;
}
