import { isPawlError, TaskError } from "../core/errors.js";
import type { Io, Task } from "../core/io.js";
import type { CommitResult, RunWrite, TaskRecord, TaskWrite } from "../core/storage.js";
import { writeRefused } from "./block.js";
import type { Execution } from "./execution.js";
import { leftError, lostError } from "./execution-errors.js";
import { adoptRecord } from "./execution-records.js";
import { turnWrite } from "./execution-writes.js";
import type { TaskCallback } from "./io/run-task.js";
import type { Op } from "./op.js";
import { taskEnded } from "./outcome.js";
import type { AttemptOwner, Outcome, TaskAttempt } from "./task-attempt.js";
import type { TaskHandle } from "./task-handle.js";
import type { Draft } from "./task-write.js";
import { isThenable } from "./thenable.js";
import type { WriteTurn } from "./write-turn.js";

/** The task, as its transaction sees it. */
interface Transacting {
  /** Takes the place of the one before. */
  newAttempt(owner: AttemptOwner): TaskAttempt;
  encode(value: unknown): string | Promise<string>;
  completed(output: string, task: TaskHandle): Draft;
  failed(error: unknown, attempt: TaskAttempt): void;
  /** Nothing was begun, since the lease has run out. */
  startAgain(): void;
}

/** What came of it. "gave way": nobody wants to know any more, and nothing was committed. */
type Ending =
  | { readonly result: CommitResult }
  | { readonly record: TaskRecord }
  | { readonly error: unknown }
  | "gave way";

/** A commit that fails so often while the storage answers everything else fails because of what the callback did. */
const MOST_FAILED_COMMITS = 3;

/**
 * One attempt of a task that commits its record together with what its callback
 * wrote. Trouble of the storage repeats the callback, as a crash would, and is
 * no failure of the task. A commit may have worked although its answer was lost:
 * then the record is looked for before anything else is done.
 */
export class TaskTransaction implements AttemptOwner {
  readonly #op: Op;
  readonly #execution: Execution;
  readonly #callback: TaskCallback;
  readonly #task: Transacting;
  #turn: WriteTurn | undefined;
  #attempt: TaskAttempt | undefined;
  /** Of the latest try: what it is going to commit, or why it does not. */
  #write: TaskWrite | undefined;
  #thrown: Exclude<Ending, { readonly result: CommitResult }> | undefined;
  #tx: unknown;
  readonly #failedCommits: unknown[] = [];
  #isOver = false;

  constructor(op: Op, callback: TaskCallback, task: Transacting) {
    this.#op = op;
    this.#execution = op.scope.execution;
    this.#callback = callback;
    this.#task = task;
  }

  begin(): void {
    this.#execution.writer.takeTurn(
      (turn) => this.#begun(turn),
      () => this.#isWanted,
    );
  }

  get #isWanted(): boolean {
    const { phase } = this.#execution;
    return (phase === "running" || phase === "leaving") && !this.#op.scope.isClosed;
  }

  #begun(turn: WriteTurn): void {
    this.#turn = turn;
    const { engine, lease } = this.#execution;
    if (!this.#mayTry) {
      this.#end(() => {});
    } else if (lease.hasLapsed) {
      this.#end(() => this.#task.startAgain());
    } else {
      engine.patience
        .until(() => this.#try())
        .then(
          (ending) => this.#end(() => this.#ended(ending)),
          (error) => this.#end(() => this.#execution.drop(() => error)),
        );
    }
  }

  /** While leaving nothing new begins: the next execution makes this attempt. */
  get #mayTry(): boolean {
    return this.#execution.phase === "running" && this.#turn?.holdsBack === true;
  }

  async #try(): Promise<Ending> {
    if (this.#failedCommits.length > 0) {
      const record = await this.#recorded();
      if (record !== undefined) return { record };
      if (this.#failedCommits.length >= MOST_FAILED_COMMITS) return { error: this.#commitsFail() };
    }
    if (!this.#mayTry) return "gave way";
    this.#thrown = undefined;
    this.#write = undefined;
    try {
      return await this.#commit();
    } catch (error) {
      if (this.#thrown !== undefined) return this.#thrown;
      if (isPawlError(error, "TRANSACTION_FAILED")) return { error };
      if (this.#write !== undefined) this.#failedCommits.push(error);
      this.#turn?.reopen();
      throw error;
    }
  }

  async #commit(): Promise<Ending> {
    const { rawStorage } = this.#execution.engine;
    const result = await rawStorage.commitWith?.((tx) => this.#work(tx));
    if (result === undefined) return "gave way";
    // A try before this one may have been committed after all.
    const record = result.result === "rejected" ? await this.#recorded() : undefined;
    return record === undefined ? { result } : { record };
  }

  /**
   * What an earlier try has recorded. Its transaction may still be on its way to
   * its end; it holds the run row until then, for which the extension waits.
   */
  async #recorded(): Promise<TaskRecord | undefined> {
    const { writer, engine, runId } = this.#execution;
    await new Promise<void>((resolve) => writer.extendLease(resolve));
    const before = (this.#turn?.seq ?? 1) - 1;
    const { tasks } = await engine.storage.listTasks(runId, before, 1);
    return tasks.find(({ path, status }) => path === this.#op.path && status === "COMPLETED");
  }

  #work(tx: unknown): RunWrite | Promise<RunWrite> {
    if (!this.#mayTry) throw this.#gaveWay();
    const attempt = this.#task.newAttempt(this);
    this.#attempt = attempt;
    this.#tx = tx;
    const callback = (task: Task, io: Io) => this.#callback(task, io, tx);
    if (!this.#isSynchronous) {
      return attempt.runToEnd(callback).then((outcome) => this.#writeOf(outcome, attempt));
    }
    // Not even begun: what it did after its first await could not be taken back.
    const isAsync = this.#callback.constructor.name === "AsyncFunction";
    return this.#writeOf(attempt.runAtOnce(isAsync ? () => never : callback), attempt);
  }

  get #isSynchronous(): boolean {
    return this.#execution.engine.rawStorage.capabilities.synchronousTransactions === true;
  }

  #writeOf(outcome: Outcome, attempt: TaskAttempt): RunWrite | Promise<RunWrite> {
    if ("error" in outcome) throw this.#throws(outcome.error);
    const isRefused = this.#isSynchronous && isThenable(outcome.value);
    if (isRefused) throw this.#throws(this.#asynchronous(outcome.value, "callback"));
    let text: string | Promise<string>;
    try {
      text = this.#task.encode(outcome.value);
    } catch (error) {
      throw this.#throws(error);
    }
    if (typeof text === "string") return this.#commits(text, attempt);
    if (this.#isSynchronous) throw this.#throws(this.#asynchronous(text, "codec"));
    return text.then(
      (done) => this.#commits(done, attempt),
      (error) => {
        throw this.#throws(error);
      },
    );
  }

  #commits(output: string, { task }: TaskAttempt): RunWrite {
    const turn = this.#turn;
    if (turn?.commits() !== true) throw this.#gaveWay();
    const draft = this.#task.completed(output, task);
    const { write, record } = turnWrite(this.#execution, turn, this.#op, draft);
    this.#write = record;
    return write;
  }

  #throws(error: unknown): unknown {
    this.#thrown = { error };
    return error;
  }

  #gaveWay(): unknown {
    this.#thrown = "gave way";
    return leftError(this.#op.runId);
  }

  /** Of a timeout it is told while the callback still runs, whose transaction is rolled back when that is through. */
  attemptEnded(attempt: TaskAttempt, outcome: Outcome): void {
    if (!attempt.hasTimedOut || !("error" in outcome)) return;
    this.#end(() => this.#task.failed(outcome.error, attempt));
  }

  /** Once. The turn is over before whatever follows from the ending is written. */
  #end(next: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#turn !== undefined) this.#execution.writer.endTurn(this.#turn);
    next();
  }

  #ended(ending: Ending): void {
    const attempt = this.#attempt;
    if (ending === "gave way") attempt?.close();
    else if ("record" in ending) this.#adopt(ending.record);
    else if ("result" in ending) this.#answered(ending.result);
    else if (attempt !== undefined) this.#task.failed(ending.error, attempt);
  }

  #answered(result: CommitResult): void {
    const execution = this.#execution;
    const { runId, inbox } = execution;
    if (result.result === "rejected") {
      this.#attempt?.close();
      writeRefused(execution, result);
    } else if (result.result !== "ok" || result.epoch !== execution.epoch) {
      execution.drop(() => lostError(runId, result));
    } else if (this.#write !== undefined) {
      this.#adopt(this.#write);
      if (inbox.isBehind(result.inbox))
        void execution.hold(() => execution.waits.readInbox(result.inbox));
    }
  }

  #adopt(record: TaskRecord): void {
    const execution = this.#execution;
    const { engine } = execution;
    if (engine.madeRunsIn.delete(this.#tx as object)) engine.onRunsMade();
    adoptRecord(execution, this.#op, record);
    taskEnded(execution, this.#op);
    this.#attempt?.leave();
  }

  #commitsFail(): TaskError {
    return new TaskError(
      "TRANSACTION_FAILED",
      `The transaction of task "${this.#op.path}" in run ${this.#op.runId} failed ${MOST_FAILED_COMMITS} times to commit, while the storage answered otherwise. Look at what its callback writes, and at the cause.`,
      { cause: this.#failedCommits.at(-1) },
    );
  }

  #asynchronous(promise: unknown, what: "callback" | "codec"): TaskError {
    // Nobody waits for it.
    Promise.resolve(promise).then(undefined, () => {});
    const { name } = this.#execution.engine.rawStorage;
    return new TaskError(
      "TRANSACTION_ASYNC",
      `The ${what} of task "${this.#op.path}" in run ${this.#op.runId} is asynchronous, which a transaction of ${name} cannot be: others would write into it meanwhile. Nothing was committed. ${what === "callback" ? "Use a callback without async that returns no promise, and fetch what it needs in a task before." : "Use a codec that answers at once."}`,
    );
  }
}

/** In place of a callback that is known to be asynchronous. */
const never: PromiseLike<never> = new Promise<never>(() => {});
