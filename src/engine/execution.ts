import {
  decodeErrorRecord,
  type ErrorRecord,
  fromErrorRecord,
  toErrorRecord,
} from "../core/error-record.js";
import { type Ending, isHookJob } from "../core/final.js";
import type { Io } from "../core/io.js";
import type { Key } from "../core/key.js";
import type {
  ClaimedRun,
  CommitResult,
  RunRecord,
  RunWrite,
  Signal,
  TaskRecord,
  TaskStatus,
  TaskWrite,
} from "../core/storage.js";
import { decodeTaskData, type TaskKind } from "../core/task-data.js";
import type { Writer } from "./commit-queue.js";
import type { Engine, RunningJob } from "./engine.js";
import { admitCall } from "./execution-calls.js";
import {
  finishedError,
  leftError,
  lostError,
  nonDeterminism,
  storageRefused,
} from "./execution-errors.js";
import { ExecutionLimit } from "./execution-limit.js";
import { finalWrite, parkWrite, releaseWrite } from "./execution-writes.js";
import { Inbox } from "./inbox.js";
import { Lease } from "./lease.js";
import { LogBuffer } from "./log-buffer.js";
import { afterMicrotasks } from "./macrotask.js";
import { Op, type Waiting } from "./op.js";
import { executionOver } from "./outcome.js";
import { PendingWrite } from "./pending-write.js";
import { callRun } from "./run-body.js";
import { Scope } from "./scope.js";
import { Settlement } from "./settlement.js";

/** The worker, as an execution sees it. */
export interface ExecutionHost {
  /** The park is committed; the frame may be kept. */
  parked(execution: Execution): void;
  /** Ended, released or lost: it holds no slot any more. */
  left(execution: Execution): void;
  /** User code goes on by itself after the park: the run must be held again. */
  reclaim(execution: Execution): void;
}

/** Why an execution ends before its run does. */
export type LeaveReason =
  | { readonly kind: "yield" | "limit" | "stop" }
  | { readonly kind: "blocked"; readonly error: ErrorRecord };

export interface Draft {
  readonly status: TaskStatus;
  readonly attempts?: number;
  readonly output?: string | null;
  readonly error?: string | null;
  readonly startedAt?: number;
  readonly finishedAt?: number | null;
  readonly wakeAt?: number | null;
  readonly data?: string | null;
}

type Phase = "running" | "finishing" | "leaving" | "parked" | "over";

interface InFlight {
  readonly purpose: "records" | "park" | "final" | "release";
  readonly onDurable: readonly (() => void)[];
  readonly sentAt: number;
}

const NEVER_SETTLES = new Promise<never>(() => {});

/**
 * One run in the memory of this process, from its claim until it parks, ends
 * or is lost. All state of the run's user code hangs on this object, so that
 * dropping it frees everything.
 */
export class Execution implements Writer {
  readonly engine: Engine;
  readonly host: ExecutionHost;
  readonly job: RunningJob;
  readonly runId: string;
  readonly root: Scope;
  readonly lease: Lease;
  readonly limit: ExecutionLimit;
  readonly inbox: Inbox;
  readonly logs: LogBuffer;
  readonly settlement: Settlement;
  readonly abort = new AbortController();
  /** Open operations by path. */
  readonly ops = new Map<string, Op>();
  readonly memo = new Map<string, TaskRecord>();
  /** Recorded paths that this execution came by; only kept where there is something to compare. */
  readonly visited: Set<string> | undefined;
  run: RunRecord;
  epoch: number;
  /** Scopes whose code runs and waits for no io call. */
  busyScopes = 0;
  /** Something was recorded since the claim. */
  progressed = false;
  seq: number;
  leaving: LeaveReason | undefined;
  ending: Ending | undefined;
  #phase: Phase = "running";
  #pending: PendingWrite | undefined;
  #inFlight: InFlight | undefined;
  #disarmTimer: (() => void) | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #afterResume: (() => void)[] = [];
  readonly #integrations = new Map<string, unknown>();

  constructor(
    engine: Engine,
    host: ExecutionHost,
    job: RunningJob,
    claimed: ClaimedRun,
    claimedAtMono: number,
  ) {
    this.engine = engine;
    this.host = host;
    this.job = job;
    this.run = claimed.run;
    this.runId = claimed.run.id;
    this.epoch = claimed.run.epoch;
    this.lease = new Lease(engine, claimedAtMono);
    this.limit = new ExecutionLimit(engine, () => this.leaveNow());
    this.inbox = new Inbox(claimed.signals, claimed.run.inbox);
    this.logs = new LogBuffer(claimed.logCounts);
    this.root = new Scope(this, "", String(claimed.run.generation));
    for (const task of claimed.tasks) this.memo.set(task.path, task);
    this.visited = this.memo.size > 0 ? new Set() : undefined;
    this.seq = claimed.tasks.at(-1)?.seq ?? claimed.run.lastSeq;
    this.settlement = new Settlement(() => this.checkIdle());
  }

  /** Calls `run` and answers at once; everything else follows from what it calls. */
  start(): void {
    this.root.enter();
    this.limit.start();
    void callRun(this).then((ending) => this.#runReturned(ending));
    this.settlement.begin();
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Records are still accepted. */
  get isLive(): boolean {
    return this.#phase === "running" || this.#phase === "finishing" || this.#phase === "leaving";
  }

  // ---- calls of user code

  /**
   * One remembered call. A recorded result settles from memory, everything else
   * starts through `start`, with the record of an earlier, unfinished try if
   * there is one that still counts.
   */
  call<T>(
    scope: Scope,
    key: Key,
    kind: TaskKind,
    decode: (record: TaskRecord) => unknown,
    start: (op: Op, earlier: TaskRecord | undefined) => void,
  ): Promise<T> {
    if (this.#phase === "over" || scope.isClosed) return NEVER_SETTLES;
    const path = admitCall(this, scope, key, kind);
    if (typeof path !== "string") return path;
    const op = new Op(scope, path, kind, decode);
    this.ops.set(path, op);
    scope.opBegins();
    if (this.#phase === "parked") this.#resumeThen(() => this.#begin(op, start));
    else this.#begin(op, start);
    return op.promise as Promise<T>;
  }

  #begin(op: Op, start: (op: Op, earlier: TaskRecord | undefined) => void): void {
    const record = this.memo.get(op.path);
    if (record === undefined) {
      // While leaving, nothing new starts; the next execution will come by here again.
      if (this.#phase === "running") start(op, undefined);
      return;
    }
    op.record = record;
    this.visited?.add(op.path);
    if (record.kind !== op.kind) {
      this.leave({ kind: "blocked", error: mismatch(this, record, op) });
      return;
    }
    const stale = record.status !== "COMPLETED" && decodeTaskData(record.data).tag !== op.scope.tag;
    if (record.status === "COMPLETED" || (record.status === "FAILED" && !stale)) {
      this.settlement.addRecorded({ seq: record.seq, settle: () => op.settle(record) });
    } else if (this.#phase === "running") {
      start(op, stale && record.kind !== "wait" ? undefined : record);
    }
  }

  /** The operation is not busy: it goes on by time or by signal. */
  waitOn(op: Op, waiting: Waiting): void {
    if (!this.isLive || op.scope.isClosed) return;
    op.waiting = waiting;
    if (waiting.wakeAt !== undefined) this.#armTimer(waiting.wakeAt);
    const signal = waiting.topic === undefined ? undefined : this.inbox.take(waiting.topic);
    if (signal !== undefined) this.#deliver(op, signal);
    else afterMicrotasks(() => this.checkIdle());
  }

  /** Keeps the run from parking while the engine itself works for an operation. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.busyScopes++;
    try {
      return await work();
    } finally {
      this.busyScopes--;
      afterMicrotasks(() => this.checkIdle());
    }
  }

  /** Decides a record; `onDurable` is called once it is committed, "settle" settles the operation then. */
  record(op: Op, draft: Draft, onDurable?: "settle" | (() => void)): void {
    if (!this.isLive || op.scope.isClosed) return;
    const pending = this.pending();
    const replaces =
      op.record === undefined ? undefined : pending.supersede(op.path, op.record.seq);
    const now = this.engine.storeClock.now();
    const write: TaskWrite = {
      path: op.path,
      seq: ++this.seq,
      kind: op.kind,
      status: draft.status,
      attempts: draft.attempts ?? op.record?.attempts ?? 0,
      output: draft.output ?? null,
      error: draft.error ?? null,
      startedAt: draft.startedAt ?? op.record?.startedAt ?? now,
      finishedAt: draft.finishedAt ?? (isDone(draft.status) ? now : null),
      wakeAt: draft.wakeAt ?? null,
      data: draft.data ?? null,
      ...(replaces === undefined ? undefined : { replaces }),
    };
    op.record = write;
    this.memo.set(op.path, write);
    this.visited?.add(op.path);
    pending.tasks.push(write);
    if (draft.status !== "RUNNING") this.progressed = true;
    if (onDurable === "settle") {
      pending.onDurable.push(() =>
        this.settlement.addLive({ seq: write.seq, settle: () => op.settle(write) }),
      );
    } else if (onDurable !== undefined) {
      pending.onDurable.push(onDurable);
    }
    this.engine.queue.enqueue(this);
  }

  /** Extends the lease and names the tasks that are open, should this process die. */
  renew(onDurable?: () => void): void {
    for (const op of this.ops.values()) op.startMark?.();
    if (onDurable !== undefined) this.pending().onDurable.push(onDurable);
    this.engine.queue.enqueue(this);
  }

  /** The write that is being put together. Whoever adds to it enqueues the execution. */
  pending(): PendingWrite {
    this.#pending ??= new PendingWrite();
    return this.#pending;
  }

  /** Tells listeners of a final record. */
  taskEnded(op: Op): void {
    const { record } = op;
    if (record === undefined) return;
    const event = {
      runId: this.runId,
      jobId: this.run.jobId,
      path: op.path,
      attempts: record.attempts,
    };
    if (record.status === "COMPLETED") this.engine.emitter.emit("taskCompleted", event);
    else if (this.engine.emitter.hears("taskFailed") && record.error !== null) {
      this.engine.emitter.emit("taskFailed", {
        ...event,
        error: fromErrorRecord(decodeErrorRecord(record.error)),
      });
    }
  }

  /** One instance of each integration per execution, made on first use. */
  integration(key: string, io: Io): unknown {
    if (!this.#integrations.has(key)) {
      this.#integrations.set(key, this.job.options.integrations?.[key]?.cloneForRun(io, key));
    }
    return this.#integrations.get(key);
  }

  // ---- what ends an execution

  /** Ends this execution as soon as nothing is busy; the run goes on later. */
  leave(reason: LeaveReason): void {
    if (this.#phase !== "running") return;
    this.#phase = "leaving";
    this.leaving = reason;
    this.settlement.stop();
    this.engine.queue.enqueue(this);
  }

  /** Leaves without waiting for callbacks; what they return is not recorded. */
  leaveNow(): void {
    if (this.#phase === "running") this.leave({ kind: "limit" });
    this.abort.abort(leftError(this.runId));
    this.busyScopes = 0;
    this.engine.queue.enqueue(this);
  }

  /** Nothing more of it counts: lost to another worker, evicted, or over. */
  drop(reason?: unknown): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#stopTimers();
    this.settlement.stop();
    this.#pending = undefined;
    this.ops.clear();
    if (reason !== undefined) this.abort.abort(reason);
    this.host.left(this);
  }

  #runReturned(ending: Ending): void {
    if (this.#phase === "parked") {
      this.#resumeThen(() => this.#runReturned(ending));
      return;
    }
    if (this.#phase !== "running" && this.#phase !== "leaving") return;
    this.root.exit();
    this.#phase = "finishing";
    this.ending = ending;
    this.engine.queue.enqueue(this);
  }

  // ---- parking and going on

  /** Parks when nothing is busy, on its way or about to settle (contract E6). */
  checkIdle(): void {
    if (this.isIdle) this.engine.queue.enqueue(this);
  }

  get isIdle(): boolean {
    return (
      this.#phase === "running" &&
      this.busyScopes === 0 &&
      this.#inFlight === undefined &&
      this.settlement.isQuiet &&
      (this.#pending === undefined || this.#pending.onDurable.length === 0) &&
      this.ops.size > 0
    );
  }

  /** Goes on in memory: this process claimed its own parked run again. */
  resume(claimed: ClaimedRun, claimedAtMono: number): void {
    this.#phase = "running";
    this.run = claimed.run;
    this.epoch = claimed.run.epoch;
    this.progressed = false;
    this.lease.claimed(claimedAtMono);
    this.inbox.reset(claimed.signals, claimed.run.inbox);
    this.limit.start();
    for (const next of this.#afterResume.splice(0)) next();
    this.#deliverAll();
    this.fireDue();
    for (const { waiting } of this.ops.values()) {
      if (waiting?.wakeAt !== undefined) this.#armTimer(waiting.wakeAt);
    }
    this.settlement.begin();
  }

  #resumeThen(next: () => void): void {
    this.#afterResume.push(next);
    if (this.#afterResume.length === 1) this.host.reclaim(this);
  }

  // ---- signals and time

  #deliver(op: Op, signal: Signal): void {
    const waiting = op.waiting;
    op.waiting = undefined;
    waiting?.onSignal?.(signal);
  }

  #deliverAll(): void {
    if (this.inbox.isEmpty) return;
    for (const op of [...this.ops.values()]) {
      const topic = op.waiting?.topic;
      const signal = topic === undefined ? undefined : this.inbox.take(topic);
      if (signal !== undefined) this.#deliver(op, signal);
    }
  }

  /** Reads what came in since the last look, and hands it to the operations that wait for it. */
  async readInbox(): Promise<void> {
    const signals = await this.engine.storage.listSignals(this.runId);
    if (this.#phase === "over") return;
    this.inbox.merge(signals);
    this.#deliverAll();
  }

  /** Fires what is due by the store's time, in the order of the due instants. */
  fireDue(): void {
    const now = this.engine.storeClock.now();
    const due = [...this.ops.values()].filter(
      (op) => (op.waiting?.wakeAt ?? Number.POSITIVE_INFINITY) <= now,
    );
    if (due.length === 0) return;
    due.sort((a, b) => (a.waiting?.wakeAt ?? 0) - (b.waiting?.wakeAt ?? 0));
    const mayBeFulfilled = due.some((op) => op.waiting?.topic !== undefined);
    if (!mayBeFulfilled) {
      for (const op of due) this.#fire(op, now);
      return;
    }
    // A fulfilment that is in the inbox already wins over the timeout.
    void this.hold(async () => {
      await this.readInbox();
      for (const op of due) this.#fire(op, now);
    });
  }

  #fire(op: Op, now: number): void {
    const waiting = op.waiting;
    if (waiting?.wakeAt === undefined || waiting.wakeAt > now || !this.isLive) return;
    op.waiting = undefined;
    waiting.onDue?.(now);
  }

  #armTimer(at: number): void {
    if (at >= this.#timerAt) return;
    this.#disarm();
    this.#timerAt = at;
    const delay = Math.max(0, at - this.engine.storeClock.now());
    this.#disarmTimer = this.engine.clock.setTimer(delay, () => {
      this.#disarm();
      if (this.#phase !== "running") return;
      this.fireDue();
      for (const { waiting } of this.ops.values()) {
        if (waiting?.wakeAt !== undefined) this.#armTimer(waiting.wakeAt);
      }
    });
  }

  #disarm(): void {
    this.#disarmTimer?.();
    this.#disarmTimer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #stopTimers(): void {
    this.#disarm();
    this.limit.stop();
  }

  // ---- commits

  takeWrite(): RunWrite | undefined {
    if (this.#inFlight !== undefined || this.#phase === "over" || this.#phase === "parked")
      return undefined;
    if (this.#phase === "finishing" && this.ending !== undefined) {
      return this.#send("final", finalWrite(this, this.ending, this.pending()));
    }
    if (this.#phase === "leaving" && this.leaving !== undefined && this.#callbacksAreQuiet) {
      return this.#send("release", releaseWrite(this, this.leaving, this.pending()));
    }
    if (this.isIdle) return this.#send("park", parkWrite(this, this.pending()));
    if (this.#pending === undefined && !this.lease.wantsExtension) return undefined;
    const write: RunWrite = {
      runId: this.runId,
      writeId: this.engine.writeIds.next(),
      guard: { epoch: this.epoch },
      ...this.pending().parts(),
    };
    return this.#send("records", this.lease.wantsExtension ? this.lease.extend(write) : write);
  }

  /** Busy callbacks may finish before an execution leaves; `run` itself is not waited for. */
  get #callbacksAreQuiet(): boolean {
    return this.busyScopes - (this.root.isBusy ? 1 : 0) <= 0;
  }

  #send(purpose: InFlight["purpose"], write: RunWrite): RunWrite {
    this.#inFlight = {
      purpose,
      onDurable: this.#pending?.onDurable ?? [],
      sentAt: this.engine.clock.monotonic(),
    };
    this.#pending = undefined;
    return write;
  }

  written(write: RunWrite, result: CommitResult): void {
    const inFlight = this.#inFlight;
    this.#inFlight = undefined;
    if (inFlight === undefined || this.#phase === "over") return;
    if (result.result === "ok") this.#committed(inFlight, write, result);
    else if (result.result === "conflict" && inFlight.purpose === "final")
      this.#finalConflict(write);
    else if (result.result === "rejected") this.#refused(result);
    else this.drop(lostError(this.runId, result));
  }

  #committed(inFlight: InFlight, write: RunWrite, result: CommitResult): void {
    this.epoch = result.epoch;
    if (inFlight.purpose === "final" || inFlight.purpose === "release") {
      executionOver(this, inFlight.purpose);
      this.drop(inFlight.purpose === "final" ? finishedError(this.runId) : leftError(this.runId));
      return;
    }
    if (inFlight.purpose === "park") {
      this.#phase = "parked";
      this.#stopTimers();
      this.host.parked(this);
      return;
    }
    if (result.leaseRefused === true) {
      this.drop(lostError(this.runId, result));
      return;
    }
    if (write.leaseUntil !== undefined) this.lease.extended(inFlight.sentAt);
    for (const next of inFlight.onDurable) next();
    if (this.inbox.isBehind(result.inbox)) void this.hold(() => this.readInbox());
    if (this.#pending !== undefined || this.#phase !== "running") this.engine.queue.enqueue(this);
    else this.checkIdle();
  }

  /** A row that the store will not take holds nobody else up: this run pauses with the reason on it. */
  #refused(result: CommitResult): void {
    const error = storageRefused(this.runId, result);
    this.engine.onTrouble(error);
    if (this.#phase === "running") this.leave({ kind: "blocked", error: toErrorRecord(error) });
    else this.drop(error);
  }

  /** Somebody asked to be told of the end meanwhile: look who, then try again. */
  #finalConflict(write: RunWrite): void {
    const pending = this.pending();
    pending.tasks.push(...(write.tasks ?? []));
    pending.logs.push(...(write.logs ?? []));
    pending.runs.push(...(write.runs ?? []).filter((run) => !isHookJob(run.jobId)));
    pending.watches.push(...(write.watches ?? []));
    pending.signalsRead.push(...(write.signalsRead ?? []));
    void this.engine.storage.listSignals(this.runId).then((signals) => {
      this.inbox.merge(signals);
      this.engine.queue.enqueue(this);
    });
  }

  abandoned(error: unknown): void {
    this.#inFlight = undefined;
    this.drop(error);
  }
}

function isDone(status: TaskStatus): boolean {
  return status === "COMPLETED" || status === "FAILED";
}

function mismatch(execution: Execution, record: TaskRecord, op: Op): ErrorRecord {
  return toErrorRecord(nonDeterminism(execution.run, record, op.kind));
}
