import { durationMs } from "../core/duration.js";
import { type ErrorRecord, encodeErrorRecord, toErrorRecord } from "../core/error-record.js";
import { TaskError, TaskInterruptedError } from "../core/errors.js";
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
import type { TaskCallback } from "./io/run-task.js";
import type { Op } from "./op.js";
import { taskEnded } from "./outcome.js";
import { errorCaps } from "./run-body.js";
import { Scope } from "./scope.js";
import { displayData, hasDisplay } from "./task-display.js";
import { decideRetry } from "./task-failure.js";
import { TaskHandle } from "./task-handle.js";

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
    if (earlier?.status === "RUNNING" && this.#options.mode === "at-most-once") {
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
    } else if (execution.lease.hasLapsed) {
      execution.renew(() => this.#start());
    } else {
      this.#start();
    }
  }

  /** With the start on record an open task can be named, and an at-most-once task is never started twice. */
  #start(): void {
    const mustBeMarked = this.#options.mode === "at-most-once" || this.#execution.run.stalls >= 1;
    this.#startedAt = this.#execution.engine.storeClock.now();
    if (mustBeMarked) this.#mark(() => this.#run());
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
    const { scope, path } = this.#op;
    const execution = this.#execution;
    if (execution.phase !== "running" || scope.isClosed) return;
    const attempt = this.#attempts + 1;
    const inner = new Scope(execution, path, `${scope.tag}.${attempt}`, {
      parent: scope,
      isTask: true,
      forbidden: this.#options.mode === "at-most-once" ? "at-most-once task" : undefined,
    });
    const task = new TaskHandle(this.#op, this.#key, attempt);
    const startedMono = execution.engine.clock.monotonic();
    let marked = this.#op.record?.status === "RUNNING";
    this.#op.startMark = () => {
      if (!marked) this.#mark();
      marked = true;
    };
    let ended = false;
    const end = (settle: () => void) => {
      if (ended) return;
      ended = true;
      disarm?.();
      this.#op.startMark = undefined;
      execution.limit.taskTook(execution.engine.clock.monotonic() - startedMono);
      settle();
      inner.exit();
    };
    const disarm = this.#armTimeout(task, (error) => end(() => this.#failed(error, task, inner)));
    inner.enter();
    this.#callCallback(task, inner).then(
      (value) => end(() => this.#returned(value, task, inner)),
      (error) => end(() => this.#failed(error, task, inner)),
    );
  }

  async #callCallback(task: TaskHandle, inner: Scope): Promise<unknown> {
    return await runInScope(inner, () => this.#callback(task, this.#execution.host.ioOf(inner)));
  }

  #armTimeout(task: TaskHandle, onTimeout: (error: TaskError) => void): (() => void) | undefined {
    if (this.#options.timeout === undefined) return undefined;
    const timeoutMs = durationMs(this.#options.timeout, "timeout of runTask");
    return this.#execution.engine.clock.setTimer(timeoutMs, () => {
      const error = new TaskError(
        "TASK_TIMEOUT",
        `Attempt ${task.attempt} of task "${this.#op.path}" in run ${this.#op.runId} took longer than ${timeoutMs} ms. Raise its timeout, or let the callback heed task.signal.`,
      );
      onTimeout(error);
      task.abort(error);
    });
  }

  #returned(value: unknown, task: TaskHandle, inner: Scope): void {
    let text: string | Promise<string>;
    try {
      text = encodeValue(this.#execution.engine, value, `output of task "${this.#op.path}"`);
    } catch (error) {
      this.#failed(error, task, inner);
      return;
    }
    if (typeof text === "string") {
      this.#complete(text, task);
      return;
    }
    const encoding = text;
    void this.#execution.hold(() =>
      encoding.then(
        (done) => this.#complete(done, task),
        (error) => this.#failed(error, task, inner),
      ),
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

  #failed(error: unknown, task: TaskHandle, inner: Scope): void {
    void this.#execution.hold(async () => {
      const decision = await decideRetry({
        error,
        task,
        io: this.#execution.host.ioOf(inner),
        onError: this.#onError,
        retry: this.#retry,
        failedAttempts: this.#attempts + 1,
        now: this.#execution.engine.storeClock.now(),
      });
      const record = toErrorRecord(decision.error, errorCaps(this.#execution));
      this.#history = [
        ...this.#history.slice(-49),
        [this.#startedAt, this.#execution.engine.storeClock.now(), record],
      ];
      this.#attempts++;
      if (decision.retryAt === undefined) this.#fail(record);
      else this.#retryAt(decision.retryAt, record);
    });
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

function interrupted(op: Op): TaskInterruptedError {
  return new TaskInterruptedError(
    `Task "${op.path}" of run ${op.runId} was started by an execution that ended before the result was recorded. It is at-most-once and is not started again; check what it did, then catch this error or retry the run.`,
  );
}
