import type {
  CommitResult,
  RunPatch,
  RunWrite,
  TaskRecord,
  TaskWrite,
  ValueWrite,
} from "../core/storage.js";
import { writeRefused } from "./block.js";
import type { Writer } from "./commit-queue.js";
import type { Execution } from "./execution.js";
import { lostError } from "./execution-errors.js";
import { finalWrite, parkWrite, recordsWrite, releaseWrite } from "./execution-writes.js";
import { readInbox } from "./inbox.js";
import { afterMicrotasks } from "./macrotask.js";
import type { Op } from "./op.js";
import { executionOver } from "./outcome.js";
import { type Answer, PendingWrite } from "./pending-write.js";
import { type Draft, taskWrite } from "./task-write.js";
import { WriteLine } from "./write-line.js";
import { WriteTurn } from "./write-turn.js";

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
  readonly #sealed = new WriteLine();
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
    return this.#inFlight === undefined && !this.#sealed.isHeld && !this.#isAwaited();
  }

  /** Somebody wants to hear when the next write is durable. */
  #isAwaited(): boolean {
    return !this.#sealed.isEmpty || this.#pending?.isAwaited === true;
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
    if (this.#pending?.has(seq) === true) return this.#pending;
    if (this.#inFlight?.pending.has(seq) === true) return this.#inFlight.pending;
    return this.#sealed.with(seq);
  }

  /** Decides a record; `onDurable` is called once it is committed, "settle" settles the operation then, "along" is for one that nobody waits for. */
  record(op: Op, draft: Draft, onDurable?: "settle" | "along" | (() => void)): TaskRecord {
    const write = this.#taskWrite(op, draft);
    if (onDurable === "settle") this.pending.settles.push(op);
    else if (typeof onDurable === "function") this.pending.onDurable.push(onDurable);
    if (onDurable === "settle" && this.#isAlone) this.#sendNow();
    // It goes with what the code decides in this turn, which may be to park.
    else if (onDurable === "along") afterMicrotasks(() => this.enqueue());
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
    pending.onAnswer(answered);
    this.#seal();
    this.enqueue();
    return write;
  }

  #seal(): void {
    if (this.#pending !== undefined) this.#sealed.add(this.#pending);
    this.#pending = undefined;
  }

  /** Nothing more is written: nobody is left to wait for an answer. */
  ends(): void {
    this.#inFlight?.pending.answer("over");
    this.#sealed.ends();
  }

  // ---- a record past the queue

  /** `begin` is called when all that was decided before is durable; what is decided later waits for {@link endTurn}. */
  takeTurn(begin: (turn: WriteTurn) => void, counts: () => boolean): void {
    this.#seal();
    this.#sealed.add(new WriteTurn(++this.#seq, begin, counts));
    this.enqueue();
  }

  endTurn(turn: WriteTurn): void {
    this.#sealed.leave(turn);
    this.#next();
  }

  /** Whether or not it is time: for whoever has the turn and wants to hear the store's answer. */
  extendLease(onExtended: () => void): void {
    this.#sealed.extension.push(onExtended);
    this.enqueue();
  }

  #extendDuringTurn(): RunWrite | undefined {
    const { extension } = this.#sealed;
    if (!this.#execution.lease.wantsExtension && extension.length === 0) return undefined;
    const pending = new PendingWrite();
    pending.onDurable.push(...extension.splice(0));
    return this.#send("records", recordsWrite(this.#execution, pending, true), pending);
  }

  /** Nobody else has anything to write at this moment: a hint that a batch will not get larger. */
  get #isAlone(): boolean {
    const { ops, host } = this.#execution;
    return ops.size === 1 && host.executions === 1;
  }

  #sendNow(): void {
    this.#sendsNow = true;
    this.#execution.engine.queue.sendNow(this);
    this.#sendsNow = false;
  }

  #taskWrite(op: Op, draft: Draft): TaskWrite {
    const replaces = op.record && this.pending.supersede(op.path, op.record.seq);
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
    const sealed = this.#sealed.take();
    if (this.#sealed.isHeld) return this.#extendDuringTurn();
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
    const { purpose, pending } = inFlight;
    if (result.result === "ok") this.#committed(inFlight, write, result);
    else if (result.result === "conflict" && purpose === "final")
      this.#readWatches(pending, result.inbox);
    else if (result.result === "conflict" && pending.answered !== undefined)
      this.#comparedInVain(pending);
    else if (result.result === "rejected") writeRefused(execution, result);
    else execution.drop(() => lostError(execution.runId, result));
    // Whatever came of it: others wait behind whoever waits for this.
    pending.answer("over");
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
    }
  }

  #recorded({ pending, sentAt, inTurn }: InFlight, write: RunWrite, result: CommitResult): void {
    const execution = this.#execution;
    if (result.leaseRefused === true) {
      execution.drop(() => lostError(execution.runId, result));
      return;
    }
    if (write.leaseUntil !== undefined) execution.lease.extended(sentAt);
    if (!execution.progressed) execution.progressed = pending.hasProgress;
    pending.answer("ok");
    for (const op of pending.settles) {
      if (inTurn) execution.settlement.addInTurn(op);
      else execution.settlement.addLive(op);
    }
    pending.tellDurable();
    if (execution.inbox.isBehind(result.inbox)) {
      void execution.hold(() => execution.waits.readInbox(result.inbox));
    }
    this.#next();
  }

  #next(): void {
    const hasMore = !this.#sealed.isEmpty || this.#pending !== undefined;
    if (hasMore || this.#execution.phase !== "running") this.enqueue();
    else this.#execution.checkIdle();
  }

  /** A value moved on: nothing of this write holds. */
  #comparedInVain(pending: PendingWrite): void {
    pending.answer("conflict");
    for (const next of pending.onRefused) next();
    this.#next();
  }

  /** Somebody asked to be told of the end meanwhile: look who, then end it again. */
  #readWatches(pending: PendingWrite, answered: number): void {
    this.#pending = pending;
    readInbox(this.#execution, answered).then(
      () => this.enqueue(),
      (error) => this.abandoned(error),
    );
  }

  abandoned(error: unknown): void {
    // First, since it tells those who wait for the write.
    this.#execution.drop(() => error);
    this.#inFlight = undefined;
  }
}
