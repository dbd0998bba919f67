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

export type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** One call of a task's callback: its scope, its handle and its time limit. */
export class TaskAttempt {
  readonly task: TaskHandle;
  readonly scope: Scope;
  readonly #op: Op;
  readonly #timeoutMs: number | undefined;
  readonly #startedMono: number;
  #disarm: (() => void) | undefined;
  #onEnd: (outcome: Outcome) => void = () => {};
  #ended = false;
  #timedOut = false;

  constructor(op: Op, key: Key, number: number, { mode, timeout }: TaskOptions) {
    this.#op = op;
    this.#startedMono = this.#execution.engine.clock.monotonic();
    this.#timeoutMs = timeout === undefined ? undefined : durationMs(timeout, "timeout of runTask");
    this.task = new TaskHandle(op, key, number);
    this.scope = new Scope(this.#execution, op.path, `${op.scope.tag}.${number}`, {
      parent: op.scope,
      isTask: true,
      forbidden: mode === "at-most-once" ? "at-most-once task" : undefined,
      onClosed: () => this.task.abort(abandonedError(op)),
    });
  }

  get #execution(): Execution {
    return this.#op.scope.execution;
  }

  /**
   * Calls the callback. `onEnd` hears once of its result, its error or its
   * timeout, and ends the attempt with {@link leave} when it has dealt with it.
   */
  run(callback: TaskCallback, onEnd: (outcome: Outcome) => void): void {
    this.#onEnd = onEnd;
    this.#op.timeLimit = this;
    this.arm();
    this.scope.enter();
    this.#call(callback).then(
      (value) => this.#end({ value }),
      (error) => this.#end({ error }),
    );
  }

  async #call(callback: TaskCallback): Promise<unknown> {
    return await runInScope(this.scope, () =>
      callback(this.task, this.#execution.host.ioOf(this.scope)),
    );
  }

  #end(outcome: Outcome): void {
    if (this.#ended) return;
    this.#ended = true;
    this.disarm();
    this.#op.timeLimit = undefined;
    const execution = this.#execution;
    execution.limit.taskTook(execution.engine.clock.monotonic() - this.#startedMono);
    // It may end by itself while the run is parked on a wait of its own.
    execution.whenLive(() => {
      if (!this.#op.scope.isClosed) this.#onEnd(outcome);
    });
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
