import { type ErrorRecord, encodeErrorRecord, toErrorRecord } from "../core/error-record.js";
import type { OnError } from "../core/io.js";
import type { Key } from "../core/key.js";
import { type ResolvedRetry, resolveRetry } from "../core/retry.js";
import type { TaskRecord } from "../core/storage.js";
import { runInScope } from "./async-context.js";
import { encodeValue } from "./encode.js";
import type { Execution } from "./execution.js";
import { interrupted, wasInterrupted } from "./interrupted.js";
import type { TaskCallback } from "./io/run-task.js";
import type { Op } from "./op.js";
import { taskEnded } from "./outcome.js";
import { errorCaps } from "./run-body.js";
import { type AttemptOwner, type Outcome, TaskAttempt } from "./task-attempt.js";
import type { StoredOptions } from "./task-display.js";
import { decideRetry, type RetryDecision } from "./task-failure.js";
import type { TaskHandle } from "./task-handle.js";
import { TaskHistory } from "./task-history.js";
import { TaskTransaction } from "./task-transaction.js";
import type { Draft } from "./task-write.js";

/** One task in one execution: its attempts, and what is recorded of them. */
export class TaskRun {
  readonly #op: Op;
  readonly #execution: Execution;
  readonly #key: Key;
  readonly #callback: TaskCallback;
  readonly #options: StoredOptions;
  readonly #onError: OnError | undefined;
  readonly #history = new TaskHistory();
  #startedAt = 0;
  #last: TaskAttempt | undefined;
  #isMarked = false;

  constructor(
    op: Op,
    key: Key,
    callback: TaskCallback,
    options: StoredOptions,
    onError: OnError | undefined,
  ) {
    this.#op = op;
    this.#execution = op.scope.execution;
    this.#key = key;
    this.#callback = callback;
    this.#options = options;
    this.#onError = onError;
  }

  /** Starts, or goes on after what an earlier execution recorded. */
  begin(earlier: TaskRecord | undefined): void {
    if (earlier !== undefined) this.#history.restore(earlier);
    if (this.#options.mode === "at-most-once" && wasInterrupted(this.#op)) {
      this.#fail(toErrorRecord(interrupted(this.#op)));
    } else if (earlier?.status === "WAITING" && earlier.wakeAt !== null) {
      this.#waitUntil(earlier.wakeAt);
    } else if (this.#isDelayed()) {
      const until = this.#delay();
      this.#waitUntil(until, () => this.#recordWaiting(until));
    } else {
      this.#attempt();
    }
  }

  #delay(): number {
    return this.#options.delayUntil?.getTime() ?? 0;
  }

  #isDelayed(): boolean {
    const until = this.#delay();
    return until > 0 && until > this.#execution.engine.storeClock.now();
  }

  #waitUntil(wakeAt: number, parkRecord?: () => void): void {
    this.#execution.waits.add(this.#op, {
      wakeAt,
      onDue: () => this.#attempt(),
      ...(parkRecord === undefined ? undefined : { parkRecord }),
    });
  }

  #attempt(): void {
    const execution = this.#execution;
    if (!execution.isLive || this.#op.scope.isClosed) return;
    const { record } = this.#op;
    if (record !== undefined && !execution.writer.isDurable(record)) {
      // While the store is away, attempts that are not on record would all be made again.
      execution.writer.whenDurable(record, () => this.#attempt());
    } else if (this.#options.noop === true) {
      this.#complete(null);
    } else if (execution.limit.isNear) {
      execution.leave({ kind: "limit" });
    } else if (execution.phase !== "running") {
      // Leaving: the next execution makes this attempt.
    } else {
      this.#start();
    }
  }

  /** With the start on record an open task can be named, and an at-most-once task is never started twice. */
  #start(): void {
    const { lease } = this.#execution;
    // Extended first; an execution that has lost its run is dropped by that (E3).
    if (lease.hasLapsed) {
      this.#execution.renew(() => this.#start());
      return;
    }
    const mustBeMarked = this.#options.mode === "at-most-once" || this.#execution.run.stalls >= 1;
    this.#startedAt = this.#execution.engine.storeClock.now();
    if (mustBeMarked) this.#mark(() => this.#runIfHeld());
    else this.#run();
  }

  /** The commit of the mark may have taken longer than the lease. */
  #runIfHeld(): void {
    if (this.#execution.lease.hasLapsed) this.#execution.renew(() => this.#runIfHeld());
    else this.#run();
  }

  #mark(onDurable?: () => void): void {
    this.#execution.record(
      this.#op,
      {
        status: "RUNNING",
        attempts: this.#history.attempts,
        startedAt: this.#startedAt,
        data: this.#history.openData(this.#options, this.#op.scope.tag),
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
    if (this.#options.transaction === true) {
      new TaskTransaction(this.#op, this.#callback, this.#transacting()).begin();
      return;
    }
    const attempt = this.#newAttempt(this);
    this.#isMarked = this.#op.record?.status === "RUNNING";
    this.#op.startMark = this;
    attempt.run(this.#callback);
  }

  #newAttempt(owner: AttemptOwner): TaskAttempt {
    // Calls that the failed attempt left open give way to those of this one.
    this.#last?.close();
    const number = this.#history.attempts + 1;
    this.#last = new TaskAttempt(this.#op, this.#key, number, this.#options, owner);
    return this.#last;
  }

  #transacting() {
    return {
      newAttempt: (owner: AttemptOwner) => this.#newAttempt(owner),
      encode: (value: unknown) => this.#encode(value),
      completed: (output: string, task: TaskHandle) => this.#completed(output, task),
      failed: (error: unknown, attempt: TaskAttempt) => this.#failed(error, attempt),
      startAgain: () => this.#start(),
    };
  }

  writeStartMark(): void {
    if (!this.#isMarked) this.#mark();
    this.#isMarked = true;
  }

  attemptEnded(attempt: TaskAttempt, outcome: Outcome): void {
    this.#op.startMark = undefined;
    if ("value" in outcome) this.#returned(outcome.value, attempt);
    else this.#failed(outcome.error, attempt);
  }

  /** Marked and not started after all: the next execution must not take it for interrupted. */
  #unmark(): void {
    if (this.#options.mode === "at-most-once")
      this.#recordWaiting(this.#execution.engine.storeClock.now());
  }

  #returned(value: unknown, attempt: TaskAttempt): void {
    let text: string | Promise<string>;
    try {
      text = this.#encode(value);
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

  #encode(value: unknown): string | Promise<string> {
    return encodeValue(this.#execution.engine, value, `output of task "${this.#op.path}"`);
  }

  #complete(output: string | null, task?: TaskHandle): void {
    this.#execution.record(this.#op, this.#completed(output, task), "settle");
    taskEnded(this.#execution, this.#op);
  }

  #completed(output: string | null, task?: TaskHandle): Draft {
    return {
      status: "COMPLETED",
      attempts: this.#history.attempts + 1,
      output,
      startedAt: this.#startedAt || this.#execution.engine.storeClock.now(),
      data: this.#history.finalData(this.#options, task?.outputProperties),
    };
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
        failedAttempts: this.#history.attempts + 1,
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
    this.#history.failed(this.#startedAt, this.#execution.engine.storeClock.now(), record);
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
      attempts: this.#history.attempts,
      wakeAt,
      error: error === undefined ? null : encodeErrorRecord(error),
      data: this.#history.openData(this.#options, this.#op.scope.tag),
    });
  }

  #fail(error: ErrorRecord): void {
    this.#execution.record(
      this.#op,
      {
        status: "FAILED",
        attempts: this.#history.attempts,
        error: encodeErrorRecord(error),
        data: this.#history.openData(this.#options, this.#op.scope.tag),
      },
      "settle",
    );
    taskEnded(this.#execution, this.#op);
  }
}
