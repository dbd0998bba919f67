import { durationMs } from "../core/duration.js";
import { TaskError } from "../core/errors.js";
import type { TaskOptions } from "../core/io.js";
import type { Key } from "../core/key.js";
import { runInScope } from "./async-context.js";
import type { Execution } from "./execution.js";
import { abandonedError } from "./execution-errors.js";
import type { TaskCallback } from "./io/run-task.js";
import type { Op } from "./op.js";
import { Scope } from "./scope.js";
import { TaskHandle } from "./task-handle.js";

function noCallsIn(mode: TaskOptions["mode"], transaction: boolean | undefined) {
  if (transaction === true) return "transaction task";
  return mode === "at-most-once" ? "at-most-once task" : undefined;
}

export type Outcome = { readonly value: unknown } | { readonly error: unknown };

export interface AttemptOwner {
  attemptEnded(attempt: TaskAttempt, outcome: Outcome): void;
}

/** One call of a task's callback: its scope, its handle and its time limit. */
export class TaskAttempt {
  readonly task: TaskHandle;
  readonly scope: Scope;
  readonly #op: Op;
  readonly #execution: Execution;
  readonly #owner: AttemptOwner;
  readonly #timeoutMs: number | undefined;
  readonly #startedMono: number;
  #disarm: (() => void) | undefined;
  #ended = false;
  #timedOut = false;
  #onReturn: ((outcome: Outcome) => void) | undefined;

  constructor(
    op: Op,
    key: Key,
    number: number,
    { mode, timeout, transaction }: TaskOptions,
    owner: AttemptOwner,
  ) {
    this.#op = op;
    this.#execution = op.scope.execution;
    this.#owner = owner;
    this.#startedMono = this.#execution.limit.mark();
    this.#timeoutMs = timeout === undefined ? undefined : durationMs(timeout, "timeout of runTask");
    this.task = new TaskHandle(op, key, number);
    this.scope = new Scope(this.#execution, op.path, `${op.scope.tag}.${number}`, {
      parent: op.scope,
      isTask: true,
      forbidden: noCallsIn(mode, transaction),
      owner: this,
    });
  }

  /**
   * Calls the callback. The owner hears once of its result, its error or its
   * timeout, and ends the attempt with {@link leave} when it has dealt with it.
   */
  run(callback: TaskCallback): void {
    this.#op.timeLimit = this;
    this.arm();
    this.scope.enter();
    // Not the promise's own `then`, which a callback may have changed; an `await` would not look at it either.
    Promise.prototype.then.call(
      this.#call(callback),
      (value) => this.#returned({ value }),
      (error) => this.#returned({ error }),
    );
  }

  /** As {@link run}; resolves when the callback itself is through, which may be long after the attempt's timeout. */
  runToEnd(callback: TaskCallback): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#onReturn = resolve;
      this.run(callback);
    });
  }

  /** For a callback that answers at once. No time limit could stop it. */
  runAtOnce(callback: TaskCallback): Outcome {
    this.#ended = true;
    this.scope.enter();
    const io = this.#execution.host.ioOf(this.scope);
    try {
      return { value: runInScope(this.scope, () => callback(this.task, io)) };
    } catch (error) {
      return { error };
    } finally {
      this.#execution.limit.taskTook(this.#startedMono);
    }
  }

  get hasTimedOut(): boolean {
    return this.#timedOut;
  }

  #returned(outcome: Outcome): void {
    this.#end(outcome);
    this.#onReturn?.(outcome);
  }

  /** Makes no promise where the callback answers one: each costs, the more with an async context. */
  #call(callback: TaskCallback): Promise<unknown> {
    const io = this.#execution.host.ioOf(this.scope);
    try {
      return runInScope(this.scope, () => Promise.resolve(callback(this.task, io)));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #end(outcome: Outcome): void {
    if (this.#ended) return;
    this.#ended = true;
    this.disarm();
    this.#op.timeLimit = undefined;
    const execution = this.#execution;
    execution.limit.taskTook(this.#startedMono);
    // It may end by itself while the run is parked on a wait of its own.
    if (execution.isPaused) execution.whenLive(() => this.#tell(outcome));
    else this.#tell(outcome);
  }

  #tell(outcome: Outcome): void {
    if (!this.#op.scope.isClosed) this.#owner.attemptEnded(this, outcome);
  }

  scopeClosed(): void {
    this.task.abort(abandonedError(this.#op));
  }

  /** The clock of `timeout` runs while the execution does: a park stops it, as a replay would start it anew. */
  arm(): void {
    if (this.#timeoutMs === undefined || this.#ended) return;
    this.#disarm = this.#execution.engine.clock.setTimer(this.#timeoutMs, () => this.#timeOut());
  }

  disarm(): void {
    this.#disarm?.();
    this.#disarm = undefined;
  }

  #timeOut(): void {
    const { task } = this;
    const error = new TaskError(
      "TASK_TIMEOUT",
      `Attempt ${task.attempt} of task "${this.#op.path}" in run ${this.#op.runId} took longer than ${this.#timeoutMs} ms. Raise its timeout, or let the callback heed task.signal.`,
    );
    this.#timedOut = true;
    this.#end({ error });
    task.abort(error);
  }

  /** It has been dealt with. Calls that it left open go on, except after a timeout: the callback itself may still run. */
  leave(): void {
    if (this.#timedOut) this.close();
    else this.scope.exit();
  }

  /** Nothing that still runs in it counts any more: another attempt takes its place. */
  close(): void {
    this.scope.closeTree();
    this.#execution.forgetClosed();
  }
}
