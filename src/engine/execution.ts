import type { Ending } from "../core/final.js";
import type { Key } from "../core/key.js";
import type { ClaimedRun, RunRecord, TaskRecord } from "../core/storage.js";
import type { TaskKind } from "../core/task-data.js";
import { Cancellation } from "./cancellation.js";
import type { Engine, RunningJob } from "./engine.js";
import { admitCall, beginCall, type Start } from "./execution-calls.js";
import { leftError } from "./execution-errors.js";
import type { ExecutionHost, LeaveReason, Phase } from "./execution-host.js";
import { ExecutionLimit } from "./execution-limit.js";
import { decideRecord } from "./execution-records.js";
import { ExecutionWriter } from "./execution-writer.js";
import { Inbox } from "./inbox.js";
import { Lease } from "./lease.js";
import { LogBuffer } from "./log-buffer.js";
import { afterMicrotasks } from "./macrotask.js";
import { Op } from "./op.js";
import { ReceivedEvents } from "./received-events.js";
import { callRun } from "./run-body.js";
import { RunStore } from "./run-store.js";
import { Scope } from "./scope.js";
import { Settlement } from "./settlement.js";
import type { Draft } from "./task-write.js";
import { UsedIntegrations } from "./used-integrations.js";
import { Waits } from "./waits.js";

/**
 * One run in the memory of this process, from its claim until it parks, ends
 * or is lost. All state of the run's user code hangs on this object, so that
 * dropping it frees everything.
 */
export class Execution {
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
  readonly waits: Waits;
  readonly writer: ExecutionWriter;
  readonly received: ReceivedEvents;
  readonly store: RunStore;
  readonly cancellation = new Cancellation();
  readonly integrations = new UsedIntegrations();
  /** Open operations by path. */
  readonly ops = new Map<string, Op>();
  /** Records by path that a call may meet: what was stored before the claim, and nested ones, since a task may be attempted again. */
  readonly memo = new Map<string, TaskRecord>();
  /** Recorded paths that this execution came by; only kept where there is something to compare. */
  readonly visited: Set<string> | undefined;
  run: RunRecord;
  epoch: number;
  /** Scopes whose code runs and waits for no io call. */
  busyScopes = 0;
  taskCount: number;
  lastFailed: TaskRecord | undefined;
  /** Something was recorded since the claim. */
  progressed = false;
  /** `run` was called in this execution. */
  hasBegun = false;
  leaving: LeaveReason | undefined;
  ending: Ending | undefined;
  #phase: Phase = "running";
  #afterResume: (() => void)[] = [];

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
    this.taskCount = claimed.tasks.length;
    this.visited = this.memo.size > 0 ? new Set() : undefined;
    this.settlement = new Settlement(
      () => this.checkIdle(),
      () => this.ops.size > 0,
    );
    this.waits = new Waits(this);
    this.received = new ReceivedEvents(this.memo);
    this.store = new RunStore(this.memo);
    this.writer = new ExecutionWriter(this, claimed.tasks.at(-1)?.seq ?? claimed.run.lastSeq);
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
    start: Start,
  ): Promise<T> {
    // A promise of its own each time: a shared one would keep everybody who awaits it in memory.
    if (this.#phase === "over" || scope.isClosed) return new Promise<never>(() => {});
    const path = admitCall(this, scope, key, kind);
    if (typeof path !== "string") return path;
    const op = new Op(scope, path, kind, decode);
    this.ops.set(path, op);
    scope.opBegins();
    if (this.isPaused) this.whenLive(() => beginCall(this, op, start));
    else beginCall(this, op, start);
    return op.promise as Promise<T>;
  }

  /** Keeps the run from parking while the engine itself works for an operation. */
  async hold(work: () => Promise<void>): Promise<void> {
    this.busyScopes++;
    try {
      await work();
    } catch (error) {
      // Nobody awaits this. A storage that is closed fails no run: it goes on once the lease is over.
      if (this.#phase !== "over") this.engine.onTrouble(error);
      this.drop(() => error);
    } finally {
      this.busyScopes--;
      afterMicrotasks(() => this.checkIdle());
    }
  }

  /** Decides a record; `onDurable` is called once it is committed, "settle" settles the operation then. */
  record(op: Op, draft: Draft, onDurable?: "settle" | (() => void)): void {
    decideRecord(this, op, draft, onDurable);
  }

  /** Extends the lease and names the tasks that are open, should this process die. */
  renew(onDurable?: () => void): void {
    for (const op of this.ops.values()) op.startMark?.writeStartMark();
    if (onDurable !== undefined) this.writer.pending.onDurable.push(onDurable);
    this.writer.enqueue();
  }

  // ---- what ends an execution

  /** Ends this execution as soon as nothing is busy; the run goes on later. */
  leave(reason: LeaveReason): void {
    if (this.#phase !== "running") return;
    this.#phase = "leaving";
    this.leaving = reason;
    this.settlement.stop();
    // Their instants were fixed when they were first met, not when the next execution meets them.
    if (reason.kind !== "blocked") for (const op of this.ops.values()) op.waiting?.parkRecord?.();
    this.writer.enqueue();
  }

  /** Leaves without waiting for callbacks; what they return is not recorded. */
  leaveNow(): void {
    this.leave({ kind: "limit" });
    this.cancellation.fire(() => leftError(this.runId));
    this.root.closeTree();
    this.busyScopes = 0;
    this.writer.enqueue();
  }

  /** Nothing more of it counts: lost to another worker, evicted, or over. */
  drop(reason: () => unknown): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#stopTimers();
    this.settlement.stop();
    this.writer.ends();
    this.ops.clear();
    this.cancellation.fire(reason);
    this.host.left(this);
  }

  #runReturned(ending: Ending | undefined): void {
    if (this.isPaused) {
      this.whenLive(() => this.#runReturned(ending));
      return;
    }
    if (ending === undefined || (this.#phase !== "running" && this.#phase !== "leaving")) return;
    // Told to leave at once, or blocked: how it ended after that says nothing about the run.
    if (this.root.isClosed || this.leaving?.kind === "blocked") return;
    this.root.exit();
    this.#phase = "finishing";
    this.ending = ending;
    this.writer.enqueue();
  }

  // ---- parking and going on

  /** Parks when nothing is busy, on its way or about to settle (contract E6). */
  checkIdle(): void {
    if (this.#phase === "running" && this.settlement.isQuiet) this.waits.fireOverdue();
    if (this.isIdle || this.#phase === "leaving") this.writer.enqueue();
  }

  get isIdle(): boolean {
    return (
      this.#phase === "running" &&
      this.busyScopes === 0 &&
      this.ops.size > 0 &&
      this.settlement.isQuiet &&
      this.writer.isQuiet &&
      !this.waits.areOverdue
    );
  }

  /** Busy callbacks may finish before an execution leaves; `run` itself is not waited for. */
  get callbacksAreQuiet(): boolean {
    return this.busyScopes - (this.root.isBusy ? 1 : 0) <= 0;
  }

  /** From here on nothing starts or fires: what came between the park commit and its answer could not be recorded. */
  parks(): void {
    this.#phase = "parking";
    this.#stopTimers();
  }

  hasParked(): void {
    this.#phase = "parked";
    this.host.parked(this);
    if (this.#afterResume.length > 0) this.host.reclaim(this);
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
    for (const op of this.ops.values()) op.timeLimit?.arm();
    this.waits.resume();
    this.settlement.begin();
  }

  /** Now, or once this process holds the parked run again. */
  whenLive(next: () => void): void {
    if (!this.isPaused) {
      next();
      return;
    }
    this.#afterResume.push(next);
    if (this.#afterResume.length === 1 && this.#phase === "parked") this.host.reclaim(this);
  }

  get isPaused(): boolean {
    return this.#phase === "parking" || this.#phase === "parked";
  }

  /** Operations of closed scopes wait for nothing any more. */
  forgetClosed(): void {
    for (const [path, op] of this.ops) {
      if (!op.scope.isClosed) continue;
      op.waiting = undefined;
      this.ops.delete(path);
    }
  }

  #stopTimers(): void {
    for (const op of this.ops.values()) op.timeLimit?.disarm();
    this.waits.stop();
    this.limit.stop();
  }
}
