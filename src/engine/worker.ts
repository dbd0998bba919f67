import { hookRun, isInternal } from "../core/final.js";
import type { ClaimedRun } from "../core/storage.js";
import { runOutsideScope } from "./async-context.js";
import { boundIo } from "./bound-io.js";
import { admitClaimed } from "./claimed-run.js";
import { Claimer, type ClaimerHost } from "./claimer.js";
import type { Engine, RunningJob } from "./engine.js";
import { Execution } from "./execution.js";
import { leftError } from "./execution-errors.js";
import type { ExecutionHost } from "./execution-host.js";
import { giveBack } from "./give-back.js";
import { Idle } from "./idle.js";
import { newId } from "./ids.js";
import { InternalLanes } from "./internal-lanes.js";
import { finishOverdue, lateEnding } from "./overdue.js";
import { ParkedFrames } from "./parked-frames.js";
import { tick } from "./tick-schedule.js";

/** Executes runs in this process: slots, leases, kept frames, the way to stop. */
export class Worker implements ExecutionHost, ClaimerHost {
  readonly id: string;
  readonly ioOf = boundIo;
  readonly lanes: InternalLanes;
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
  /** `start`, and each drain under way. */
  #users = 0;
  #isStarted = false;
  #isStopped = false;
  #disarmRenewal: (() => void) | undefined;
  readonly #idle = new Idle(() => this.#isBusy);

  constructor(engine: Engine, concurrency: number) {
    this.#engine = engine;
    this.#concurrency = concurrency;
    this.lanes = new InternalLanes(concurrency);
    this.id = newId(engine.clock.now());
    this.#claimer = new Claimer(engine, this, concurrency);
    this.#frames = new ParkedFrames(engine.maxParked, (frame) =>
      frame.drop(() => leftError(frame.runId)),
    );
  }

  get executions(): number {
    return this.#executions.size;
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
    this.#idle.wake();
  }

  claimSoon(dueAt?: number): void {
    this.#claimer.soon(dueAt);
  }

  // ---- executing

  accept(claimed: ClaimedRun, claimedAtMono: number): void {
    const { jobId } = claimed.run;
    if (isInternal(jobId) && this.#running) {
      const execution = this.lanes.execute(this.#engine, claimed);
      void this.meanwhile(() => execution.finally(() => this.claimSoon()));
      return;
    }
    if (!this.#running || this.freeSlots <= 0) {
      // While the answer was on its way came `stop`, or runs that started directly took the slots.
      void this.meanwhile(() => giveBack(this.#engine, claimed).finally(() => this.claimSoon()));
      return;
    }
    const job = this.#engine.jobs.get(jobId);
    if (job === undefined) return;
    const frame = this.#frames.take(claimed.run.id);
    const isLate = lateEnding(claimed.run, this.#engine.storeClock.now()) !== undefined;
    if (frame !== undefined && !isLate && claimed.kept && frame.epoch + 1 === claimed.run.epoch) {
      this.#executions.set(frame.runId, frame);
      frame.resume(claimed, claimedAtMono);
      return;
    }
    frame?.drop(() => leftError(frame.runId));
    this.reserveSlot();
    void this.meanwhile(async () => {
      try {
        const ready = await admitClaimed(this.#engine, job, claimed);
        if (ready === undefined) this.claimSoon();
        // A `stop` may have come while it was looked at.
        else if (this.#running) this.execute(job, ready, claimedAtMono);
        else await giveBack(this.#engine, ready);
      } finally {
        this.releaseSlot();
      }
    });
  }

  async meanwhile(work: () => Promise<void>): Promise<void> {
    this.#internal++;
    try {
      await work();
    } catch (error) {
      this.#engine.onTrouble(error);
    } finally {
      this.#internal--;
      this.#idle.wake();
    }
  }

  /** Executes a run that this worker holds. */
  execute(job: RunningJob, claimed: ClaimedRun, claimedAtMono: number): void {
    const { run } = claimed;
    // Created as held before the stop, and answered only now.
    if (this.#isStopped) return void this.meanwhile(() => giveBack(this.#engine, claimed));
    const execution = new Execution(this.#engine, this, job, claimed, claimedAtMono);
    this.#executions.set(run.id, execution);
    if (run.stalls >= 2) this.#suspect = true;
    if (claimed.kept) execution.writer.pending.patch = { executionCount: run.executionCount };
    runOutsideScope(() => execution.start());
  }

  /** The hook goes with the first commit; should that one never come, the next execution sends it along. */
  starts(execution: Execution): void {
    const { run, job, memo } = execution;
    if (memo.size > 0) return;
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
  }

  left(execution: Execution): void {
    this.#free(execution);
    this.#frames.forget(execution);
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
    this.claimSoon();
    this.#idle.wake();
  }

  /** A run of this process that somebody ended from outside need not wait for its next commit to learn of it. */
  endedFromOutside(runId: string, reason: () => unknown): void {
    this.#executions.get(runId)?.drop(reason);
    this.#frames.take(runId)?.drop(reason);
  }

  // ---- starting and ending

  async start(): Promise<void> {
    if (this.#isStarted || this.#isStopped) return;
    this.#isStarted = true;
    try {
      this.#engine.keptSchedules.start({
        tick: (schedule) => tick(this.#engine, schedule),
        // Its runs are due.
        meanwhile: (work) => this.meanwhile(() => work().finally(() => this.claimSoon())),
      });
      await this.#run(() => this.#claimer.start());
    } catch (error) {
      // A start that failed can be repeated.
      this.#isStarted = false;
      throw error;
    }
  }

  async #run(startClaimer: () => Promise<void>): Promise<void> {
    this.#users++;
    this.#running = true;
    this.#armRenewal();
    try {
      await startClaimer();
    } catch (error) {
      await this.#leave();
      throw error;
    }
  }

  async #leave(): Promise<void> {
    this.#users--;
    if (this.#users === 0) await this.#pause();
  }

  /**
   * One timer serves the leases of all executions; each is renewed after a
   * third of it, also while `stop` waits for tasks to finish.
   */
  #armRenewal(): void {
    this.#disarmRenewal?.();
    this.#disarmRenewal = this.#engine.clock.setTimer(this.#engine.leaseMs / 6, () => {
      for (const execution of this.#executions.values()) {
        if (execution.lease.wantsExtension) execution.renew();
      }
      if (this.#running || this.#executions.size > 0) this.#armRenewal();
    });
  }

  /** Executes what is due now until nothing is left to do. */
  async drain(): Promise<void> {
    if (this.#isStopped) return;
    await this.#run(() => this.#claimer.startOnce());
    try {
      do {
        this.claimSoon();
        await this.#idle.reached();
      } while (this.#running && (await this.#tookMore()));
    } catch (error) {
      // A stop in between has closed the storage.
      if (!this.#isStopped) throw error;
    } finally {
      await this.#leave();
    }
  }

  async #tookMore(): Promise<boolean> {
    const { runs, overdue } = await this.#claimer.claim();
    await finishOverdue(this.#engine, overdue);
    return runs.length > 0 || overdue.length > 0 || this.#isBusy;
  }

  get #isBusy(): boolean {
    return (
      this.#executions.size > 0 || this.#internal > 0 || this.#reserved > 0 || this.#claimer.isBusy
    );
  }

  claimerIsIdle(): void {
    this.#idle.wake();
  }

  /** No new claims; running callbacks may finish until `timeoutMs`, then their signals fire; leases are given back. */
  async stop(timeoutMs: number): Promise<void> {
    this.#isStopped = true;
    // To end the subscription takes a while, in which nothing new is to begin.
    const paused = this.#pause();
    for (const execution of this.#executions.values()) execution.leave({ kind: "stop" });
    await paused;
    await this.#idle.reachedWithin(this.#engine.clock, timeoutMs);
    for (const execution of this.#executions.values()) execution.leaveNow();
    // The last commits are under way; with the storage down they are not waited for.
    await this.#idle.reachedWithin(this.#engine.clock, Math.max(1_000, timeoutMs));
    for (const execution of [...this.#executions.values()]) {
      execution.drop(() => leftError(execution.runId));
    }
    this.#frames.dropAll();
    this.#disarmRenewal?.();
  }

  async #pause(): Promise<void> {
    this.#running = false;
    this.#engine.keptSchedules.stop();
    if (this.#executions.size === 0) this.#disarmRenewal?.();
    await this.#claimer.stop();
  }
}
