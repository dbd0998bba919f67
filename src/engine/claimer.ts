import { hookJobId, isInternal } from "../core/final.js";
import { type ClaimedRun, type ClaimRequest, type ClaimResult, NEVER } from "../core/storage.js";
import { limitsOf } from "./admission.js";
import { runOutsideScope } from "./async-context.js";
import type { Engine } from "./engine.js";
import type { InternalLanes } from "./internal-lanes.js";
import { commonJobs } from "./internal-runs.js";
import { nextMacrotask } from "./macrotask.js";
import { finishOverdue } from "./overdue.js";

const TASK_BUDGET = 16 * 1024 * 1024;
/** The bound for a lost hint while a subscription is alive (E15). */
const LONGEST_POLL_MS = 30_000;

/** The worker, as its claimer sees it. */
export interface ClaimerHost {
  readonly id: string;
  readonly freeSlots: number;
  readonly lanes: Pick<InternalLanes, "freeForHooks" | "freeForOthers">;
  /** A run that stalled twice is being executed: no second one beside it (E10). */
  readonly hasSuspect: boolean;
  accept(claimed: ClaimedRun, claimedAtMono: number): void;
  /** A reclaimed run is held by somebody else, or over. */
  notReclaimed(runId: string): void;
  claimerIsIdle(): void;
}

/** Looks for due runs when there is a reason to: a hint, a free slot, an instant that has come, a poll. */
export class Claimer {
  readonly #engine: Engine;
  readonly #host: ClaimerHost;
  readonly #mostAtOnce: number;
  /** Runs to be taken by name as soon as slots are free. */
  readonly #reclaims = new Set<string>();
  #running = false;
  #claiming: Promise<void> | undefined;
  #again = false;
  /** Not known before the first claim. */
  #backlog = true;
  #disarmPoll: (() => void) | undefined;
  #pollAt = Number.POSITIVE_INFINITY;
  #unsubscribe: (() => Promise<void>) | undefined;

  /** @param slots of the worker; half of them at once: while those runs go on, the storage looks for the others */
  constructor(engine: Engine, host: ClaimerHost, slots: number) {
    this.#engine = engine;
    this.#host = host;
    this.#mostAtOnce = Math.ceil(slots / 2);
  }

  /** The last claim was cut off by the number of free slots, or none was made yet. */
  get hasBacklog(): boolean {
    return this.#backlog;
  }

  get isBusy(): boolean {
    return this.#claiming !== undefined || (this.#running && this.#reclaims.size > 0);
  }

  async start(): Promise<void> {
    this.#running = true;
    const unsubscribe = await this.#engine.rawStorage.subscribe?.((dueAt) => this.soon(dueAt));
    if (!this.#running) {
      // Stopped meanwhile.
      await unsubscribe?.();
      return;
    }
    this.#unsubscribe = unsubscribe;
    await this.#lookForBlocked();
    this.soon();
  }

  /** Claims for a drain: no subscription, no poll that outlives it. */
  async startOnce(): Promise<void> {
    this.#running = true;
    await this.#lookForBlocked();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#backlog = true;
    this.#disarmPoll?.();
    this.#disarmPoll = undefined;
    const unsubscribe = this.#unsubscribe;
    this.#unsubscribe = undefined;
    await unsubscribe?.();
  }

  /** Looks once for all calls of a turn; with a later instant, at that time. */
  soon(dueAt = 0): void {
    if (!this.#running) return;
    const now = this.#engine.storeClock.now();
    if (dueAt > now) {
      this.#armPoll(dueAt - now);
    } else if (this.#claiming !== undefined) {
      this.#again = true;
    } else {
      this.#claiming = runOutsideScope(() => this.#loop()).finally(() => {
        this.#claiming = undefined;
        // Asked for after the loop had its last look: nobody else would go.
        if (this.#again) this.soon();
        this.#host.claimerIsIdle();
      });
    }
  }

  reclaim(runId: string): void {
    this.#reclaims.add(runId);
    this.soon();
  }

  async #loop(): Promise<void> {
    await nextMacrotask();
    do {
      this.#again = false;
      try {
        await this.#once();
      } catch (error) {
        this.#engine.onTrouble(error);
        this.#again = false;
        this.#armPoll(this.#engine.pollMs);
        return;
      }
    } while (this.#again && this.#running);
  }

  async #once(): Promise<void> {
    await this.#takeReclaims();
    // A slot that becomes free meanwhile tells nothing of the runs that were not asked for.
    const askedForRuns = this.#hasSlots;
    const { now, runs, nextDue, overdue, nextDeadline } = await this.claim();
    const isCutOff = nextDue !== null && nextDue <= now;
    this.#backlog = !askedForRuns || !this.#hasSlots || isCutOff;
    await this.#renewRegistrations(now);
    if (overdue.length > 0) await finishOverdue(this.#engine, overdue);
    const { left } = (await this.#engine.rawStorage.deliver?.()) ?? { left: 0 };
    // With all slots taken, the next look is for internal runs.
    const leftSome = runs.length > 0 && isCutOff;
    if (overdue.length > 0 || left > 0 || leftSome || this.#mayHaveLeft(runs)) this.#again = true;
    // A timer that fires while the next look goes on would ask for one more after it.
    if (this.#again) return;
    const due = Math.min(nextDue ?? NEVER, nextDeadline ?? NEVER);
    this.#armPoll(Math.min(this.#pollMs, Math.max(0, due - now)));
  }

  /** Internal runs come first, so behind another one there is none of them. */
  #mayHaveLeft(taken: readonly ClaimedRun[]): boolean {
    return taken.length > 0 && (this.#hasSlots || taken.every(({ run }) => isInternal(run.jobId)));
  }

  get #hasSlots(): boolean {
    return this.#host.freeSlots > 0;
  }

  async #renewRegistrations(now: number): Promise<void> {
    const { jobs, registry } = this.#engine;
    if (!registry.needsRenewal(now)) return;
    await registry.renew(
      jobs.all().map(({ id }) => id),
      now,
    );
  }

  get #pollMs(): number {
    const { pollMs } = this.#engine;
    return this.#unsubscribe === undefined ? pollMs : Math.max(pollMs, LONGEST_POLL_MS);
  }

  /** Takes what is due into the free slots, or exactly the named runs. */
  async claim(only?: readonly string[]): Promise<ClaimResult> {
    const claimedAtMono = this.#engine.clock.monotonic();
    const answer = await this.#engine.storage.claimRuns(this.#request(only));
    this.#engine.storeClock.observe(answer.now);
    for (const claimed of answer.runs) this.#host.accept(claimed, claimedAtMono);
    return answer;
  }

  #request(only: readonly string[] | undefined): ClaimRequest {
    const jobs = this.#engine.jobs.all();
    const { freeSlots, lanes } = this.#host;
    // What has no room left is not asked for; the others go on.
    const open = [
      { room: lanes.freeForOthers, jobIds: commonJobs(this.#engine) },
      { room: lanes.freeForHooks, jobIds: jobs.map((job) => hookJobId(job.id)) },
      { room: freeSlots, jobIds: jobs.map((job) => job.id) },
    ].filter(({ room }) => room > 0);
    const room = open.length === 0 ? 0 : Math.min(...open.map((each) => each.room));
    return {
      claimId: this.#engine.writeIds.next(),
      workerId: this.#host.id,
      jobIds: open.flatMap(({ jobIds }) => jobIds),
      limit: only?.length ?? Math.min(room, this.#mostAtOnce),
      leaseMs: this.#engine.leaseMs,
      limits: limitsOf(jobs),
      suspects: this.#host.hasSuspect ? 0 : 1,
      taskBudget: TASK_BUDGET,
      ...(only === undefined ? undefined : { only }),
    };
  }

  /** User code of a parked frame went on by itself: its run is taken back, if nobody else has it. */
  async #takeReclaims(): Promise<void> {
    const only = [...this.#reclaims].slice(0, Math.max(0, this.#host.freeSlots));
    if (only.length === 0) return;
    for (const runId of only) this.#reclaims.delete(runId);
    const { runs } = await this.claim(only);
    const taken = new Set(runs.map(({ run }) => run.id));
    for (const runId of only) {
      if (!taken.has(runId)) this.#host.notReclaimed(runId);
    }
    // Of those that were asked for some are held elsewhere: their slots are free for others.
    if (this.#reclaims.size > 0 && this.#host.freeSlots > 0) this.#again = true;
  }

  /** Another version of the code may get past what blocked these runs (E14). */
  async #lookForBlocked(): Promise<void> {
    const versions = new Map(this.#engine.jobs.all().map((job) => [job.id, job.version]));
    if (versions.size === 0) return;
    const query = { blocked: true, jobIds: [...versions.keys()], limit: 100 };
    const { runs } = await this.#engine.rawStorage.listRuns(query);
    for (const { id, jobId, blocked } of runs) {
      if (blockedVersion(blocked) !== versions.get(jobId)) this.#reclaims.add(id);
    }
  }

  #armPoll(delayMs: number): void {
    if (!this.#running) return;
    const at = this.#engine.clock.monotonic() + delayMs;
    if (this.#disarmPoll !== undefined && at >= this.#pollAt) return;
    this.#disarmPoll?.();
    this.#pollAt = at;
    this.#disarmPoll = this.#engine.clock.setTimer(delayMs, () => {
      this.#disarmPoll = undefined;
      this.soon();
    });
  }
}

function blockedVersion(blocked: string | null): string | undefined {
  return (JSON.parse(blocked ?? "{}") as { version?: string }).version;
}
