import { type ErrorRecord, encodeErrorRecord, toErrorRecord } from "../core/error-record.js";
import type { OnError, TaskOptions } from "../core/io.js";
import type { Key } from "../core/key.js";
import { type ResolvedRetry, resolveRetry } from "../core/retry.js";
import type { TaskRecord } from "../core/storage.js";
import {
  type AttemptRecord,
  decodeTaskData,
  encodeTaskData,
  type TaskData,
} from "../core/task-data.js";
import { runInScope } from "./async-context.js";
import { encodeValue } from "./encode.js";
import type { Execution } from "./execution.js";
import { interrupted, wasInterrupted } from "./interrupted.js";
import type { TaskCallback } from "./io/run-task.js";
import type { Op } from "./op.js";
import { taskEnded } from "./outcome.js";
import { errorCaps } from "./run-body.js";
import { TaskAttempt } from "./task-attempt.js";
import { displayData, hasDisplay } from "./task-display.js";
import { decideRetry, type RetryDecision } from "./task-failure.js";
import type { TaskHandle } from "./task-handle.js";

/** One task in one execution: its attempts, and what is recorded of them. */
export class TaskRun {
  readonly #op: Op;
  readonly #key: Key;
  readonly #callback: TaskCallback;
  readonly #options: TaskOptions;
  readonly #onError: OnError | undefined;
  #attempts = 0;
  #history: readonly AttemptRecord[] = [];
  #startedAt = 0;
  #last: TaskAttempt | undefined;

  constructor(
    op: Op,
    key: Key,
    callback: TaskCallback,
    options: TaskOptions,
    onError: OnError | undefined,
  ) {
    this.#op = op;
    this.#key = key;
    this.#callback = callback;
    this.#options = options;
    this.#onError = onError;
  }

  get #execution(): Execution {
    return this.#op.scope.execution;
  }

  /** Starts, or goes on after what an earlier execution recorded. */
  begin(earlier: TaskRecord | undefined): void {
    if (earlier !== undefined) {
      this.#attempts = earlier.attempts;
      this.#history = decodeTaskData(earlier.data).history ?? [];
    }
    if (this.#options.mode === "at-most-once" && wasInterrupted(this.#op)) {
      this.#fail(toErrorRecord(interrupted(this.#op)));
    } else if (earlier?.status === "WAITING" && earlier.wakeAt !== null) {
      this.#waitUntil(earlier.wakeAt);
    } else if (this.#delay > this.#execution.engine.storeClock.now()) {
      this.#waitUntil(this.#delay, () => this.#recordWaiting(this.#delay));
    } else {
      this.#attempt();
    }
  }

  get #delay(): number {
    return this.#options.delayUntil?.getTime() ?? 0;
  }

  #waitUntil(wakeAt: number, parkRecord?: () => void): void {
    this.#execution.waitOn(this.#op, {
      wakeAt,
      onDue: () => this.#attempt(),
      ...(parkRecord === undefined ? undefined : { parkRecord }),
    });
  }

  #attempt(): void {
    const execution = this.#execution;
    if (!execution.isLive || this.#op.scope.isClosed) return;
    if (this.#options.noop === true) {
      this.#complete(null);
    } else if (execution.limit.isNear) {
      execution.leave({ kind: "limit" });
    } else if (execution.phase !== "running") {
      // Leaving: the next execution makes this attempt.
    } else {
      this.#whenHeld(() => this.#start());
    }
  }

  /** A lease that has run out is extended first; an execution that has lost its run is dropped by that (E3). */
  #whenHeld(next: () => void): void {
    const execution = this.#execution;
    if (execution.lease.hasLapsed) execution.renew(() => this.#whenHeld(next));
    else next();
  }

  /** With the start on record an open task can be named, and an at-most-once task is never started twice. */
  #start(): void {
    const mustBeMarked = this.#options.mode === "at-most-once" || this.#execution.run.stalls >= 1;
    this.#startedAt = this.#execution.engine.storeClock.now();
    // The commit of the mark may have taken longer than the lease.
    if (mustBeMarked) this.#mark(() => this.#whenHeld(() => this.#run()));
    else this.#run();
  }

  #mark(onDurable?: () => void): void {
    this.#execution.record(
      this.#op,
      {
        status: "RUNNING",
        attempts: this.#attempts,
        startedAt: this.#startedAt,
        data: this.#data(),
      },
      onDurable,
    );
  }

  #run(): void {
    const { phase } = this.#execution;
    if (this.#op.scope.isClosed) return;
    if (phase !== "running") {
      this.#unmark();
      return;
    }
    // Calls that the failed attempt left open give way to those of this one.
    this.#last?.close();
    const attempt = new TaskAttempt(this.#op, this.#key, this.#attempts + 1, this.#options);
    this.#last = attempt;
    let marked = this.#op.record?.status === "RUNNING";
    this.#op.startMark = () => {
      if (!marked) this.#mark();
      marked = true;
    };
    attempt.run(this.#callback, (outcome) => {
      this.#op.startMark = undefined;
      if ("value" in outcome) this.#returned(outcome.value, attempt);
      else this.#failed(outcome.error, attempt);
    });
  }

  /** Marked and not started after all: the next execution must not take it for interrupted. */
  #unmark(): void {
    if (this.#options.mode === "at-most-once")
      this.#recordWaiting(this.#execution.engine.storeClock.now());
  }

  #returned(value: unknown, attempt: TaskAttempt): void {
    let text: string | Promise<string>;
    try {
      text = encodeValue(this.#execution.engine, value, `output of task "${this.#op.path}"`);
    } catch (error) {
      this.#failed(error, attempt);
      return;
    }
    if (typeof text === "string") {
      this.#complete(text, attempt.task);
      attempt.leave();
      return;
    }
    text.then(
      (done) =>
        this.#execution.whenLive(() => {
          this.#complete(done, attempt.task);
          attempt.leave();
        }),
      (error) => this.#failed(error, attempt),
    );
  }

  #complete(output: string | null, task?: TaskHandle): void {
    this.#execution.record(
      this.#op,
      {
        status: "COMPLETED",
        attempts: this.#attempts + 1,
        output,
        startedAt: this.#startedAt || this.#execution.engine.storeClock.now(),
        data: this.#finalData(task),
      },
      "settle",
    );
    taskEnded(this.#execution, this.#op);
  }

  #failed(error: unknown, attempt: TaskAttempt): void {
    const { scope, task } = attempt;
    const execution = this.#execution;
    // The scope stays entered: `onError` may make io calls, and the run may park on them.
    const deciding = runInScope(scope, () =>
      decideRetry({
        error,
        task,
        io: execution.host.ioOf(scope),
        onError: this.#onError,
        retry: this.#retry,
        failedAttempts: this.#attempts + 1,
        now: () => execution.engine.storeClock.now(),
      }),
    );
    void deciding.then((decision) =>
      execution.whenLive(() => {
        this.#decided(decision);
        attempt.leave();
      }),
    );
  }

  #decided({ error, retryAt }: RetryDecision): void {
    const record = toErrorRecord(error, errorCaps(this.#execution));
    this.#history = [
      ...this.#history.slice(-49),
      [this.#startedAt, this.#execution.engine.storeClock.now(), record],
    ];
    this.#attempts++;
    if (retryAt === undefined) this.#fail(record);
    else this.#retryAt(retryAt, record);
  }

  get #retry(): ResolvedRetry | undefined {
    if (this.#options.retry === false) return resolveRetry(undefined);
    const options =
      this.#options.retry ?? this.#execution.job.options.retry ?? this.#execution.engine.retry;
    return options === undefined ? undefined : resolveRetry(options);
  }

  #retryAt(wakeAt: number, error: ErrorRecord): void {
    this.#recordWaiting(wakeAt, error);
    this.#waitUntil(wakeAt);
  }

  #recordWaiting(wakeAt: number, error?: ErrorRecord): void {
    const { record } = this.#op;
    if (error === undefined && record?.status === "WAITING" && record.wakeAt === wakeAt) return;
    this.#execution.record(this.#op, {
      status: "WAITING",
      attempts: this.#attempts,
      wakeAt,
      error: error === undefined ? null : encodeErrorRecord(error),
      data: this.#data(),
    });
  }

  #fail(error: ErrorRecord): void {
    this.#execution.record(
      this.#op,
      {
        status: "FAILED",
        attempts: this.#attempts,
        error: encodeErrorRecord(error),
        data: this.#data(),
      },
      "settle",
    );
    taskEnded(this.#execution, this.#op);
  }

  /** Beside display fields, what tells later whether this unfinished record still counts. */
  #data(): string | null {
    return encodeTaskData({
      ...displayData(this.#options),
      tag: this.#op.scope.tag,
      ...this.#historyData(),
    });
  }

  #finalData(task: TaskHandle | undefined): string | null {
    const { outputProperties } = task ?? {};
    if (outputProperties === undefined && this.#history.length === 0 && !hasDisplay(this.#options))
      return null;
    return encodeTaskData({
      ...displayData(this.#options),
      ...(outputProperties === undefined ? undefined : { outputProperties }),
      ...this.#historyData(),
    });
  }

  #historyData(): TaskData | undefined {
    return this.#history.length === 0 ? undefined : { history: this.#history };
  }
}
