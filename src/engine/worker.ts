import { hookJobId, hookRun, isHookJob } from "../core/final.js";
import type { ClaimedRun, ClaimRequest, ClaimResult } from "../core/storage.js";
import { limitsOf } from "./admission.js";
import { runOutsideScope } from "./async-context.js";
import { admitClaimed } from "./claimed-run.js";
import type { Engine, RunningJob } from "./engine.js";
import { Execution, type ExecutionHost } from "./execution.js";
import { leftError } from "./execution-errors.js";
import { callHook } from "./hooks.js";
import { newId } from "./ids.js";
import { nextMacrotask } from "./macrotask.js";
import { finishOverdue } from "./overdue.js";
import { ParkedFrames } from "./parked-frames.js";

const TASK_BUDGET = 16 * 1024 * 1024;
const LONGEST_POLL_MS = 30_000;

/** Claims due runs and executes them in this process. */
export class Worker implements ExecutionHost {
  readonly id: string;
  readonly #engine: Engine;
  readonly #concurrency: number;
  readonly #executions = new Map<string, Execution>();
  readonly #frames: ParkedFrames;
  #internal = 0;
  #reserved = 0;
  #running = false;
  #claiming: Promise<void> | undefined;
  #claimAgain = false;
  /** The last claim was cut off by the number of free slots. */
  #backlog = false;
  #suspect = false;
  #reclaims = new Set<string>();
  #disarmPoll: (() => void) | undefined;
  #pollAt = Number.POSITIVE_INFINITY;
  #disarmRenewal: (() => void) | undefined;
  #unsubscribe: (() => Promise<void>) | undefined;
  #onIdle: (() => void)[] = [];

  constructor(engine: Engine, concurrency: number) {
    this.#engine = engine;
    this.#concurrency = concurrency;
    this.id = newId(engine.clock.now());
    this.#frames = new ParkedFrames(engine.maxParked, (frame) =>
      frame.drop(leftError(frame.runId)),
    );
  }

  get isRunning(): boolean {
    return this.#running;
  }

  /** A run may be created leased to this worker: a slot is free, and nothing due would be overtaken (E2). */
  get mayStartDirectly(): boolean {
    return this.#running && !this.#backlog && this.#freeSlots > 0;
  }

  get #freeSlots(): number {
    return this.#concurrency - this.#executions.size - this.#reserved;
  }

  /** A slot for a run that is being created as held by this worker. */
  reserveSlot(): void {
    this.#reserved++;
  }

  releaseSlot(): void {
    this.#reserved--;
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#armRenewal();
    await this.#subscribe();
    await this.#claimBlocked();
    this.claimSoon();
  }

  async #subscribe(): Promise<void> {
    this.#unsubscribe = await this.#engine.rawStorage.subscribe?.((dueAt) => {
      if (dueAt === undefined || dueAt <= this.#engine.storeClock.now()) this.claimSoon();
      else this.#armPoll(dueAt - this.#engine.storeClock.now());
    });
  }

  // ---- claiming

  /** Looks for due runs, once for all calls of a turn; with a later instant, at that time. */
  claimSoon(dueAt = 0): void {
    if (!this.#running) return;
    const now = this.#engine.storeClock.now();
    if (dueAt > now) {
      this.#armPoll(dueAt - now);
      return;
    }
    if (this.#claiming !== undefined) {
      this.#claimAgain = true;
      return;
    }
    this.#claiming = runOutsideScope(() => this.#claimLoop()).finally(() => {
      this.#claiming = undefined;
      this.#wakeIdle();
    });
  }

  async #claimLoop(): Promise<void> {
    await nextMacrotask();
    do {
      this.#claimAgain = false;
      try {
        await this.#claimOnce();
      } catch (error) {
        this.#engine.onTrouble(error);
        this.#armPoll(this.#engine.pollMs);
        return;
      }
    } while (this.#claimAgain && this.#running);
  }

  async #claimOnce(): Promise<void> {
    await this.#reclaim();
    const limit = this.#freeSlots;
    const { answer, claimedAt } = await this.#claim(limit <= 0 ? { limit: 0 } : { limit });
    const { now, runs, nextDue, overdue } = answer;
    this.#backlog = nextDue !== null && nextDue <= now;
    for (const claimed of runs) this.#accept(claimed, claimedAt);
    if (overdue.length > 0) {
      await finishOverdue(this.#engine, overdue);
      this.#claimAgain = true;
    }
    await this.#deliver();
    if (runs.length > 0 && this.#freeSlots > 0) this.#claimAgain = true;
    const untilDue = nextDue === null ? Number.POSITIVE_INFINITY : Math.max(0, nextDue - now);
    // With all slots taken, the next free slot looks again.
    this.#armPoll(
      Math.min(this.#pollMs, this.#freeSlots > 0 ? untilDue : Number.POSITIVE_INFINITY),
    );
  }

  get #pollMs(): number {
    return this.#unsubscribe === undefined
      ? this.#engine.pollMs
      : Math.max(this.#engine.pollMs, LONGEST_POLL_MS);
  }

  async #claim(part: {
    limit: number;
    only?: readonly string[];
  }): Promise<{ answer: ClaimResult; claimedAt: number }> {
    const claimedAt = this.#engine.clock.monotonic();
    const answer = await this.#engine.storage.claimRuns(this.#request(part));
    this.#engine.storeClock.observe(answer.now);
    return { answer, claimedAt };
  }

  #request(part: { limit: number; only?: readonly string[] }): ClaimRequest {
    const jobs = this.#engine.jobs.all();
    return {
      claimId: this.#engine.writeIds.next(),
      workerId: this.id,
      jobIds: jobs.flatMap((job) => [job.id, hookJobId(job.id)]),
      leaseMs: this.#engine.leaseMs,
      limits: limitsOf(jobs),
      suspects: this.#suspect ? 0 : 1,
      taskBudget: TASK_BUDGET,
      ...part,
    };
  }

  /** User code of a parked frame went on by itself: its run is taken back, if nobody else has it. */
  async #reclaim(): Promise<void> {
    const only = [...this.#reclaims];
    if (only.length === 0) return;
    this.#reclaims.clear();
    const { answer, claimedAt } = await this.#claim({ limit: only.length, only });
    const got = new Set(answer.runs.map(({ run }) => run.id));
    for (const claimed of answer.runs) this.#accept(claimed, claimedAt);
    for (const runId of only) {
      if (!got.has(runId)) this.#frames.take(runId)?.drop(leftError(runId));
    }
  }

  /** Another version of the code may get past what blocked these runs (E14). */
  async #claimBlocked(): Promise<void> {
    const versions = new Map(this.#engine.jobs.all().map((job) => [job.id, job.version]));
    const { runs } = await this.#engine.rawStorage.listRuns({
      blocked: true,
      jobIds: [...versions.keys()],
      limit: 100,
    });
    const only = runs
      .filter(
        (run) =>
          (JSON.parse(run.blocked ?? "{}") as { version?: string }).version !==
          versions.get(run.jobId),
      )
      .map((run) => run.id);
    if (only.length === 0) return;
    const { answer, claimedAt } = await this.#claim({ limit: only.length, only });
    for (const claimed of answer.runs) this.#accept(claimed, claimedAt);
  }

  async #deliver(): Promise<void> {
    const { left } = (await this.#engine.rawStorage.deliver?.()) ?? { left: 0 };
    if (left > 0) this.#claimAgain = true;
  }

  // ---- executing

  #accept(claimed: ClaimedRun, claimedAt: number): void {
    const { jobId } = claimed.run;
    if (isHookJob(jobId)) {
      this.#acceptHook(claimed, jobId.slice(hookJobId("").length));
      return;
    }
    const job = this.#engine.jobs.get(jobId);
    if (job === undefined) return;
    const frame = this.#frames.take(claimed.run.id);
    if (frame !== undefined && claimed.kept && frame.epoch + 1 === claimed.run.epoch) {
      this.#executions.set(frame.runId, frame);
      frame.resume(claimed, claimedAt);
      return;
    }
    frame?.drop(leftError(frame.runId));
    void this.#prepare(job, claimed, claimedAt);
  }

  #acceptHook(claimed: ClaimedRun, jobId: string): void {
    const job = this.#engine.jobs.get(jobId);
    if (job === undefined) return;
    this.#internal++;
    void callHook(this.#engine, job, claimed)
      .catch((error) => this.#engine.onTrouble(error))
      .finally(() => {
        this.#internal--;
        this.claimSoon();
        this.#wakeIdle();
      });
  }

  async #prepare(job: RunningJob, claimed: ClaimedRun, claimedAt: number): Promise<void> {
    this.#internal++;
    try {
      const ready = await admitClaimed(this.#engine, job, claimed);
      if (ready !== undefined) this.execute(job, ready, claimedAt);
    } catch (error) {
      this.#engine.onTrouble(error);
    } finally {
      this.#internal--;
      this.#wakeIdle();
    }
  }

  /** Executes a run that this worker holds. */
  execute(job: RunningJob, claimed: ClaimedRun, claimedAt: number): void {
    const execution = new Execution(this.#engine, this, job, claimed, claimedAt);
    this.#executions.set(execution.runId, execution);
    if (claimed.run.stalls >= 2) this.#suspect = true;
    if (claimed.kept) execution.pending().patch = { executionCount: claimed.run.executionCount };
    if (claimed.tasks.length === 0) this.#firstStart(job, execution);
    runOutsideScope(() => execution.start());
  }

  /** The hook goes with the first commit; should that one never come, the next execution sends it along. */
  #firstStart(job: RunningJob, execution: Execution): void {
    const { run } = execution;
    if (run.executionCount === 1)
      this.#engine.emitter.emit("runStarted", { id: run.id, jobId: job.id });
    if (job.options.onStart === undefined) return;
    execution.pending().runs.push(hookRun(run, "onStart", this.#engine.storeClock.now()));
  }

  parked(execution: Execution): void {
    this.#free(execution);
    const { runId, run } = execution;
    this.#engine.emitter.emit("runWaiting", { id: runId, jobId: run.jobId });
    this.#frames.keep(execution);
    this.claimSoon();
  }

  left(execution: Execution): void {
    this.#free(execution);
    this.#frames.forget(execution);
    if (this.#running) this.claimSoon();
    this.#wakeIdle();
  }

  reclaim(execution: Execution): void {
    this.#reclaims.add(execution.runId);
    this.claimSoon();
  }

  #free(execution: Execution): void {
    if (this.#executions.get(execution.runId) !== execution) return;
    this.#executions.delete(execution.runId);
    if (execution.run.stalls >= 2) this.#suspect = false;
  }

  /** A run of this process that somebody ended from outside need not wait for its next commit to learn of it. */
  endedFromOutside(runId: string, reason: unknown): void {
    this.#executions.get(runId)?.drop(reason);
    this.#frames.take(runId)?.drop(reason);
  }

  // ---- time

  #armPoll(delayMs: number): void {
    if (!this.#running) return;
    const at = this.#engine.clock.monotonic() + delayMs;
    if (this.#disarmPoll !== undefined && at >= this.#pollAt) return;
    this.#disarmPoll?.();
    this.#pollAt = at;
    this.#disarmPoll = this.#engine.clock.setTimer(delayMs, () => {
      this.#disarmPoll = undefined;
      this.claimSoon();
    });
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

  // ---- ending

  /** Executes what is due now until nothing is left to do. */
  async drain(): Promise<void> {
    const wasRunning = this.#running;
    if (!wasRunning) {
      this.#running = true;
      this.#armRenewal();
      await this.#claimBlocked();
    }
    do {
      this.claimSoon();
      await this.#idle();
    } while (await this.#hasDue());
    if (!wasRunning) await this.#pause();
  }

  async #hasDue(): Promise<boolean> {
    const { answer, claimedAt } = await this.#claim({ limit: this.#freeSlots });
    for (const claimed of answer.runs) this.#accept(claimed, claimedAt);
    return answer.runs.length > 0 || answer.overdue.length > 0 || this.#isBusy;
  }

  get #isBusy(): boolean {
    return (
      this.#executions.size > 0 ||
      this.#internal > 0 ||
      this.#reserved > 0 ||
      this.#claiming !== undefined ||
      this.#reclaims.size > 0
    );
  }

  #idle(): Promise<void> {
    if (!this.#isBusy) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #wakeIdle(): void {
    if (this.#isBusy) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** No new claims; running callbacks may finish until `timeoutMs`, then their signals fire; leases are given back. */
  async stop(timeoutMs: number): Promise<void> {
    if (!this.#running && this.#executions.size === 0) return;
    await this.#pause();
    for (const execution of this.#executions.values()) execution.leave({ kind: "stop" });
    await this.#idleWithin(timeoutMs);
    for (const execution of this.#executions.values()) execution.leaveNow();
    await this.#idleWithin(Math.max(1_000, timeoutMs));
    for (const execution of [...this.#executions.values()])
      execution.drop(leftError(execution.runId));
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
    this.#disarmPoll?.();
    this.#disarmPoll = undefined;
    this.#disarmRenewal?.();
    const unsubscribe = this.#unsubscribe;
    this.#unsubscribe = undefined;
    await unsubscribe?.();
  }
}
