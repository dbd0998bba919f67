import { hookJobId, hookRun, isHookJob } from "../core/final.js";
import type { ClaimedRun } from "../core/storage.js";
import { runOutsideScope } from "./async-context.js";
import { boundIo } from "./bound-io.js";
import { admitClaimed } from "./claimed-run.js";
import { Claimer, type ClaimerHost } from "./claimer.js";
import type { Engine, RunningJob } from "./engine.js";
import { Execution, type ExecutionHost } from "./execution.js";
import { leftError } from "./execution-errors.js";
import { callHook } from "./hooks.js";
import { newId } from "./ids.js";
import { ParkedFrames } from "./parked-frames.js";

/** Executes runs in this process: slots, leases, kept frames, the way to stop. */
export class Worker implements ExecutionHost, ClaimerHost {
  readonly id: string;
  readonly ioOf = boundIo;
  readonly #engine: Engine;
  readonly #concurrency: number;
  readonly #claimer: Claimer;
  readonly #executions = new Map<string, Execution>();
  readonly #frames: ParkedFrames;
  /** Hooks and preparations under way; they take no slot. */
  #internal = 0;
  #reserved = 0;
  #suspect = false;
  #running = false;
  #disarmRenewal: (() => void) | undefined;
  #onIdle: (() => void)[] = [];

  constructor(engine: Engine, concurrency: number) {
    this.#engine = engine;
    this.#concurrency = concurrency;
    this.id = newId(engine.clock.now());
    this.#claimer = new Claimer(engine, this);
    this.#frames = new ParkedFrames(engine.maxParked, (frame) =>
      frame.drop(() => leftError(frame.runId)),
    );
  }

  get isRunning(): boolean {
    return this.#running;
  }

  get hasSuspect(): boolean {
    return this.#suspect;
  }

  /** A run may be created leased to this worker: a slot is free, and nothing due would be overtaken (E2). */
  get mayStartDirectly(): boolean {
    return this.#running && !this.#claimer.hasBacklog && this.freeSlots > 0;
  }

  get freeSlots(): number {
    return this.#concurrency - this.#executions.size - this.#reserved;
  }

  /** A slot for a run that is being created as held by this worker. */
  reserveSlot(): void {
    this.#reserved++;
  }

  releaseSlot(): void {
    this.#reserved--;
    this.#wakeIdle();
  }

  claimSoon(dueAt?: number): void {
    this.#claimer.soon(dueAt);
  }

  // ---- executing

  accept(claimed: ClaimedRun, claimedAtMono: number): void {
    const { jobId } = claimed.run;
    if (!this.#running) {
      // The answer to a claim came after `stop`.
      void this.#meanwhile(() => this.#giveBack(claimed));
      return;
    }
    if (isHookJob(jobId)) {
      this.#acceptHook(claimed, jobId.slice(hookJobId("").length));
      return;
    }
    const job = this.#engine.jobs.get(jobId);
    if (job === undefined) return;
    const frame = this.#frames.take(claimed.run.id);
    if (frame !== undefined && claimed.kept && frame.epoch + 1 === claimed.run.epoch) {
      this.#executions.set(frame.runId, frame);
      frame.resume(claimed, claimedAtMono);
      return;
    }
    frame?.drop(() => leftError(frame.runId));
    this.reserveSlot();
    void this.#meanwhile(async () => {
      try {
        const ready = await admitClaimed(this.#engine, job, claimed);
        if (ready !== undefined) this.execute(job, ready, claimedAtMono);
        else this.claimSoon();
      } finally {
        this.releaseSlot();
      }
    });
  }

  async #giveBack({ run }: ClaimedRun): Promise<void> {
    await this.#engine.queue.submit({
      runId: run.id,
      writeId: this.#engine.writeIds.next(),
      guard: { epoch: run.epoch },
      run: { status: run.lastSeq === 0 ? "PENDING" : "WAITING" },
      release: { wakeAt: this.#engine.storeClock.now(), wakeSignals: 1 },
    });
  }

  #acceptHook(claimed: ClaimedRun, jobId: string): void {
    const job = this.#engine.jobs.get(jobId);
    if (job === undefined) return;
    void this.#meanwhile(async () => {
      await callHook(this.#engine, job, claimed);
      this.claimSoon();
    });
  }

  async #meanwhile(work: () => Promise<void>): Promise<void> {
    this.#internal++;
    try {
      await work();
    } catch (error) {
      this.#engine.onTrouble(error);
    } finally {
      this.#internal--;
      this.#wakeIdle();
    }
  }

  /** Executes a run that this worker holds. */
  execute(job: RunningJob, claimed: ClaimedRun, claimedAtMono: number): void {
    const { run } = claimed;
    const execution = new Execution(this.#engine, this, job, claimed, claimedAtMono);
    this.#executions.set(run.id, execution);
    if (run.stalls >= 2) this.#suspect = true;
    if (claimed.kept) execution.writer.pending.patch = { executionCount: run.executionCount };
    if (claimed.tasks.length === 0) this.#firstStart(job, execution);
    runOutsideScope(() => execution.start());
  }

  /** The hook goes with the first commit; should that one never come, the next execution sends it along. */
  #firstStart(job: RunningJob, execution: Execution): void {
    const { run } = execution;
    if (run.executionCount === 1) {
      this.#engine.emitter.emit("runStarted", { id: run.id, jobId: job.id });
    }
    if (job.options.onStart === undefined) return;
    const hook = hookRun(run, "onStart", this.#engine.storeClock.now());
    execution.writer.pending.runs.push(hook);
  }

  parked(execution: Execution): void {
    this.#free(execution);
    const { runId, run } = execution;
    this.#engine.emitter.emit("runWaiting", { id: runId, jobId: run.jobId });
    this.#frames.keep(execution);
    this.claimSoon();
    this.#wakeIdle();
  }

  left(execution: Execution): void {
    this.#free(execution);
    this.#frames.forget(execution);
    this.claimSoon();
    this.#wakeIdle();
  }

  reclaim(execution: Execution): void {
    this.#claimer.reclaim(execution.runId);
  }

  notReclaimed(runId: string): void {
    this.#frames.take(runId)?.drop(() => leftError(runId));
  }

  #free(execution: Execution): void {
    if (this.#executions.get(execution.runId) !== execution) return;
    this.#executions.delete(execution.runId);
    if (execution.run.stalls >= 2) this.#suspect = false;
  }

  /** A run of this process that somebody ended from outside need not wait for its next commit to learn of it. */
  endedFromOutside(runId: string, reason: () => unknown): void {
    this.#executions.get(runId)?.drop(reason);
    this.#frames.take(runId)?.drop(reason);
  }

  // ---- starting and ending

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#armRenewal();
    await this.#claimer.start();
  }

  /** One timer serves the leases of all executions; each is renewed after a third of it. */
  #armRenewal(): void {
    this.#disarmRenewal = this.#engine.clock.setTimer(this.#engine.leaseMs / 6, () => {
      for (const execution of this.#executions.values()) {
        if (execution.lease.wantsExtension) execution.renew();
      }
      if (this.#running) this.#armRenewal();
    });
  }

  /** Executes what is due now until nothing is left to do. */
  async drain(): Promise<void> {
    const wasRunning = this.#running;
    if (!wasRunning) {
      this.#running = true;
      this.#armRenewal();
      await this.#claimer.startOnce();
    }
    do {
      this.claimSoon();
      await this.#idle();
    } while (await this.#tookMore());
    if (!wasRunning) await this.#pause();
  }

  async #tookMore(): Promise<boolean> {
    const { runs, overdue } = await this.#claimer.claim();
    return runs.length > 0 || overdue.length > 0 || this.#isBusy;
  }

  get #isBusy(): boolean {
    return (
      this.#executions.size > 0 || this.#internal > 0 || this.#reserved > 0 || this.#claimer.isBusy
    );
  }

  #idle(): Promise<void> {
    if (!this.#isBusy) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  claimerIsIdle(): void {
    this.#wakeIdle();
  }

  #wakeIdle(): void {
    if (this.#isBusy) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** No new claims; running callbacks may finish until `timeoutMs`, then their signals fire; leases are given back. */
  async stop(timeoutMs: number): Promise<void> {
    await this.#pause();
    for (const execution of this.#executions.values()) execution.leave({ kind: "stop" });
    await this.#idleWithin(timeoutMs);
    for (const execution of this.#executions.values()) execution.leaveNow();
    // The last commits are under way; with the storage down they are not waited for.
    await this.#idleWithin(Math.max(1_000, timeoutMs));
    for (const execution of [...this.#executions.values()]) {
      execution.drop(() => leftError(execution.runId));
    }
    this.#frames.dropAll();
  }

  async #idleWithin(timeoutMs: number): Promise<void> {
    let disarm: (() => void) | undefined;
    const timeout = new Promise<void>((resolve) => {
      disarm = this.#engine.clock.setTimer(timeoutMs, resolve);
    });
    await Promise.race([this.#idle(), timeout]);
    disarm?.();
  }

  async #pause(): Promise<void> {
    this.#running = false;
    this.#disarmRenewal?.();
    await this.#claimer.stop();
  }
}
