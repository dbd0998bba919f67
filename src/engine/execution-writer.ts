import { toErrorRecord } from "../core/error-record.js";
import type {
  CommitResult,
  RunPatch,
  RunWrite,
  TaskRecord,
  TaskWrite,
  ValueWrite,
} from "../core/storage.js";
import type { Writer } from "./commit-queue.js";
import type { Execution } from "./execution.js";
import { finishedError, leftError, lostError, storageRefused } from "./execution-errors.js";
import { finalWrite, parkWrite, recordsWrite, releaseWrite } from "./execution-writes.js";
import type { Op } from "./op.js";
import { executionOver } from "./outcome.js";
import { type Answer, PendingWrite } from "./pending-write.js";
import { type Draft, taskWrite } from "./task-write.js";

interface InFlight {
  readonly purpose: "records" | "park" | "final" | "release";
  readonly pending: PendingWrite;
  /** Monotonic: the store counts an extension from later than this. */
  readonly sentAt: number;
  /** Sent before the promise chains of its turn were through. */
  readonly inTurn: boolean;
}

/**
 * The commits of one execution: at most one is under way, and what is decided
 * meanwhile goes into the next.
 */
export class ExecutionWriter implements Writer {
  isQueued = false;
  readonly #execution: Execution;
  #pending: PendingWrite | undefined;
  /** Complete, and to be sent each by itself, before `#pending`. */
  #sealed: PendingWrite[] = [];
  #inFlight: InFlight | undefined;
  #sendsNow = false;
  /** Seq of the last record. */
  #seq: number;

  constructor(execution: Execution, lastSeq: number) {
    this.#execution = execution;
    this.#seq = lastSeq;
  }

  get seq(): number {
    return this.#seq;
  }

  /** The write that is being put together. Whoever adds to it calls {@link enqueue}. */
  get pending(): PendingWrite {
    this.#pending ??= new PendingWrite();
    return this.#pending;
  }

  /** Columns of the run that go with the next write. */
  patch(patch: RunPatch): void {
    this.pending.patch = { ...this.pending.patch, ...patch };
  }

  /** Nothing is on its way, and nothing waits to be that somebody wants to hear of. */
  get isQuiet(): boolean {
    return this.#inFlight === undefined && !this.#isAwaited();
  }

  /** Somebody wants to hear when the next write is durable. */
  #isAwaited(): boolean {
    return this.#sealed.length > 0 || this.#pending?.isAwaited === true;
  }

  enqueue(): void {
    this.#execution.engine.queue.enqueue(this);
  }

  /** False for a record that was decided in this execution and is on its way. */
  isDurable(record: TaskRecord): boolean {
    return this.#writeWith(record) === undefined;
  }

  whenDurable(record: TaskRecord, next: () => void, refused?: () => void): void {
    const write = this.#writeWith(record);
    write?.onDurable.push(next);
    if (refused !== undefined) write?.onRefused.push(refused);
  }

  #writeWith({ seq }: TaskRecord): PendingWrite | undefined {
    const writes = [this.#inFlight?.pending, ...this.#sealed, this.#pending];
    return writes.find((write) => write?.has(seq) === true);
  }

  /** Decides a record; `onDurable` is called once it is committed, "settle" settles the operation then. */
  record(op: Op, draft: Draft, onDurable?: "settle" | (() => void)): TaskRecord {
    const { pending } = this;
    const write = this.#taskWrite(op, draft);
    if (onDurable === "settle") pending.settles.push(op);
    else if (onDurable !== undefined) pending.onDurable.push(onDurable);
    if (onDurable === "settle" && this.#execution.isAlone) this.#sendNow();
    else this.enqueue();
    return write;
  }

  /** A record with values that are compared, in a write of its own; what came before goes before it. */
  recordCompared(
    op: Op,
    draft: Draft,
    values: readonly ValueWrite[],
    answered: (answer: Answer) => void,
  ): TaskRecord {
    this.#seal();
    const { pending } = this;
    const write = this.#taskWrite(op, draft);
    pending.settles.push(op);
    pending.values.push(...values);
    pending.answered = answered;
    this.#seal();
    this.enqueue();
    return write;
  }

  #seal(): void {
    if (this.#pending !== undefined) this.#sealed.push(this.#pending);
    this.#pending = undefined;
  }

  /** Nothing more is written: nobody is left to wait for an answer. */
  ends(): void {
    this.#inFlight?.pending.answer("over");
    for (const sealed of this.#sealed) sealed.answer("over");
    this.#sealed = [];
  }

  #sendNow(): void {
    this.#sendsNow = true;
    this.#execution.engine.queue.sendNow(this);
    this.#sendsNow = false;
  }

  #taskWrite(op: Op, draft: Draft): TaskWrite {
    const { record } = op;
    const replaces = record === undefined ? undefined : this.pending.supersede(op.path, record.seq);
    const now = this.#execution.engine.storeClock.now();
    const write = taskWrite(op, draft, { seq: ++this.#seq, now, replaces });
    op.record = write;
    this.pending.tasks.push(write);
    return write;
  }

  takeWrite(): RunWrite | undefined {
    const execution = this.#execution;
    const { phase, ending, leaving, lease } = execution;
    if (this.#inFlight !== undefined || !execution.isLive) return undefined;
    const sealed = this.#sealed.shift();
    if (sealed !== undefined) return this.#send("records", recordsWrite(execution, sealed), sealed);
    if (phase === "finishing" && ending !== undefined) {
      return this.#send("final", finalWrite(execution, ending, this.pending));
    }
    // Whoever wants to hear of a record hears of it before the run is given back.
    if (
      phase === "leaving" &&
      leaving !== undefined &&
      execution.callbacksAreQuiet &&
      !this.#isAwaited()
    ) {
      return this.#send("release", releaseWrite(execution, leaving, this.pending));
    }
    if (execution.isIdle) {
      const write = parkWrite(execution, this.pending);
      execution.parks();
      return this.#send("park", write);
    }
    if (this.#pending === undefined && !lease.wantsExtension) return undefined;
    return this.#send("records", recordsWrite(execution, this.pending));
  }

  #send(purpose: InFlight["purpose"], write: RunWrite, pending = this.pending): RunWrite {
    const sentAt = this.#execution.engine.clock.monotonic();
    this.#inFlight = { purpose, pending, sentAt, inTurn: this.#sendsNow };
    if (pending === this.#pending) this.#pending = undefined;
    return write;
  }

  written(write: RunWrite, result: CommitResult): void {
    const execution = this.#execution;
    const inFlight = this.#inFlight;
    this.#inFlight = undefined;
    if (inFlight === undefined || execution.phase === "over") return;
    if (result.result === "ok") this.#committed(inFlight, write, result);
    else if (result.result === "conflict" && inFlight.purpose === "final")
      this.#readWatches(inFlight);
    else if (result.result === "conflict" && inFlight.pending.answered !== undefined)
      this.#comparedInVain(inFlight.pending);
    else if (result.result === "rejected") this.#refused(result);
    else execution.drop(() => lostError(execution.runId, result));
    // Whatever it was: who waits for the answer may hold up others.
    inFlight.pending.answer("over");
  }

  #committed(inFlight: InFlight, write: RunWrite, result: CommitResult): void {
    const execution = this.#execution;
    if (inFlight.purpose === "records") {
      // A repeated write is answered with the present epoch: the records are kept, but another
      // worker may hold the run by now, and its epoch must never become ours.
      if (result.epoch === execution.epoch) this.#recorded(inFlight, write, result);
      else execution.drop(() => lostError(execution.runId, result));
    } else if (inFlight.purpose === "park") {
      // Of the park itself, whoever claimed the run since.
      execution.epoch += 1;
      execution.hasParked();
    } else {
      executionOver(execution, inFlight.purpose);
      const reason = inFlight.purpose === "final" ? finishedError : leftError;
      execution.drop(() => reason(execution.runId));
    }
  }

  #recorded({ pending, sentAt, inTurn }: InFlight, write: RunWrite, result: CommitResult): void {
    const execution = this.#execution;
    if (result.leaseRefused === true) {
      execution.drop(() => lostError(execution.runId, result));
      return;
    }
    if (write.leaseUntil !== undefined) execution.lease.extended(sentAt);
    pending.answer("ok");
    for (const op of pending.settles) {
      if (inTurn) execution.settlement.addInTurn(op);
      else execution.settlement.addLive(op);
    }
    pending.tellDurable();
    if (execution.inbox.isBehind(result.inbox)) {
      void execution.hold(() => execution.waits.readInbox());
    }
    this.#next();
  }

  #next(): void {
    const hasMore = this.#sealed.length > 0 || this.#pending !== undefined;
    if (hasMore || this.#execution.phase !== "running") this.enqueue();
    else this.#execution.checkIdle();
  }

  /** A value moved on: nothing of this write holds. */
  #comparedInVain(pending: PendingWrite): void {
    pending.answer("conflict");
    for (const next of pending.onRefused) next();
    this.#next();
  }

  /** A row that the store will not take holds nobody else up: this run pauses with the reason on it. */
  #refused(result: CommitResult): void {
    const execution = this.#execution;
    const outcome = "The run is parked; it is tried again later.";
    const error = storageRefused(execution.runId, result, outcome);
    execution.engine.onTrouble(error);
    if (execution.phase === "running") {
      execution.leave({ kind: "blocked", error: toErrorRecord(error) });
    } else {
      execution.drop(() => error);
    }
  }

  /** Somebody asked to be told of the end meanwhile: look who, then end it again. */
  #readWatches({ pending }: InFlight): void {
    const { engine, runId, inbox } = this.#execution;
    this.#pending = pending;
    void engine.storage.listSignals(runId).then(
      (signals) => {
        inbox.merge(signals);
        this.enqueue();
      },
      (error) => this.abandoned(error),
    );
  }

  abandoned(error: unknown): void {
    this.#execution.drop(() => error);
    this.#inFlight = undefined;
  }
}
