import { isFinal } from "../../src/core/run-status.js";
import type {
  ClaimedRun,
  ClaimRequest,
  ClaimResult,
  CommitResult,
  CreateResult,
  RunRecord,
  RunWrite,
} from "../../src/core/storage.js";
import { flowStateOf } from "../../src/engine/flow-state.js";
import { SCHEDULE_JOB, stateOf } from "../../src/engine/schedule-state.js";
import { LIMITS, TURN_MS } from "./jobs.js";
import type { Machine } from "./machine.js";
import type { StoreWatcher } from "./network.js";
import { ScheduleWatch } from "./schedule-watch.js";
import type { Change, StoredTask, StoreView } from "./store-view.js";
import { Violation } from "./violation.js";

/** How a run ended, once for each time. */
export interface End {
  readonly generation: number;
  readonly status: string;
}

/** Judges what is stored, after each call that reached the store. */
export class Monitor implements StoreWatcher {
  readonly #view: StoreView;
  readonly #now: () => number;
  readonly #report: (violation: unknown) => void;
  /** Runs that are not final, but for schedules that are paused. */
  readonly open = new Set<string>();
  readonly ends = new Map<string, End[]>();
  /** Somebody outside may wait for it. */
  onEnd: (runId: string, status: string) => void = () => {};
  readonly schedules: ScheduleWatch;
  readonly #claims = new Map<string, string>();
  readonly #overlaps: boolean;
  #lastTurn = Number.NEGATIVE_INFINITY;

  /** @param overlaps calls may be with the store at the same time */
  constructor(
    view: StoreView,
    now: () => number,
    report: (violation: unknown) => void,
    overlaps: boolean,
  ) {
    this.#overlaps = overlaps;
    this.#view = view;
    this.#now = now;
    this.#report = report;
    this.schedules = new ScheduleWatch(now);
  }

  async applied(
    method: string,
    args: readonly unknown[],
    answer: unknown,
    machine: Machine,
  ): Promise<void> {
    try {
      if (method === "commit") {
        const writes = args[0] as readonly RunWrite[];
        this.#judgeTurns(writes, answer as readonly CommitResult[]);
        await this.#committed(writes);
      } else if (method === "createRuns") await this.#created(answer as readonly CreateResult[]);
      else if (method === "claimRuns") {
        await this.#claimed(args[0] as ClaimRequest, answer as ClaimResult, machine);
      }
    } catch (violation) {
      this.#report(violation);
    }
  }

  async #committed(writes: readonly RunWrite[]): Promise<void> {
    const ids = new Set<string>();
    for (const write of writes) {
      ids.add(write.runId);
      for (const run of write.runs ?? []) ids.add(run.id);
      for (const signal of write.signals ?? []) ids.add(signal.runId);
    }
    await this.#look(ids, true);
  }

  async #created(results: readonly CreateResult[]): Promise<void> {
    const ids = new Set<string>();
    for (const result of results) {
      if (result.result !== "ok") continue;
      for (const { first, further } of result.groups) {
        ids.add(first.id);
        for (const run of further) ids.add(run.id);
      }
    }
    await this.#look(ids, false);
  }

  async #claimed(request: ClaimRequest, answer: ClaimResult, machine: Machine): Promise<void> {
    machine.workerId = request.workerId;
    for (const claimed of answer.runs) this.#judgeClaim(request, claimed, answer.now);
    await this.#look(new Set(answer.runs.map(({ run }) => run.id)), false);
  }

  #judgeClaim({ claimId }: ClaimRequest, { run, kept }: ClaimedRun, now: number): void {
    const before = this.#view.run(run.id);
    const isRepeat = this.#claims.get(run.id) === claimId;
    this.#claims.set(run.id, claimId);
    // Calls that overlap are looked at in another order than the store's, perhaps.
    if (this.#overlaps && run.epoch !== (before?.epoch ?? -1) + 1) {
      this.#view.claimedAt.set(run.id, this.#now());
      return;
    }
    if (before === undefined) throw new Violation("STORE", `run ${run.id} came from nowhere`);
    if (isRepeat && run.epoch === before.epoch) return;
    if (run.epoch <= before.epoch) {
      throw new Violation("G4", `a claim left run ${run.id} at epoch ${run.epoch}`);
    }
    if (before.leaseUntil !== null && before.leaseUntil > now) {
      throw new Violation("G13", `run ${run.id} was claimed under a live lease`);
    }
    if (isFinal(before.status)) throw new Violation("G4", `final run ${run.id} was claimed`);
    const raised = run.executionCount - before.executionCount;
    if (raised !== (kept ? 0 : 1)) {
      throw new Violation("E10", `executionCount of run ${run.id} rose by ${raised}`);
    }
    if (!this.#overlaps) this.#judgeStalls(run, before);
    this.#view.claimedAt.set(run.id, this.#now());
  }

  #judgeStalls(run: RunRecord, before: RunRecord): void {
    const lapsed = before.leaseUntil !== null;
    const highest = Math.max(0, ...[...this.#view.tasks(run.id).values()].map(({ seq }) => seq));
    const stalled = highest > before.lastSeq ? 0 : before.stalls + 1;
    const expected = lapsed ? stalled : before.stalls;
    if (run.stalls !== expected) {
      throw new Violation("E10", `stalls of run ${run.id} is ${run.stalls}, not ${expected}`);
    }
  }

  #judgeLimits(): void {
    const now = this.#now();
    const used = new Map<string, number>();
    for (const { leaseUntil, limitKeys } of this.#view.runs()) {
      if (leaseUntil === null || leaseUntil <= now) continue;
      for (const key of limitKeys) used.set(key, (used.get(key) ?? 0) + 1);
    }
    for (const [key, count] of used) {
      const most = LIMITS[key.slice(0, key.indexOf("/"))] ?? Number.POSITIVE_INFINITY;
      if (count > most) throw new Violation("G19", `${count} leases hold ${key}, at most ${most}`);
    }
  }

  async #look(ids: ReadonlySet<string>, withTasks: boolean): Promise<void> {
    await this.#view.look(ids, withTasks, (change) => this.#judge(change));
  }

  caughtUp(): void {
    try {
      this.#judgeLimits();
      for (const jobId of ["skipped", "joined", "replaced"]) this.#judgeSingleton(jobId);
    } catch (violation) {
      this.#report(violation);
    }
  }

  #judgeSingleton(jobId: string): void {
    const open = [...this.#view.runs()].filter(
      (run) =>
        run.jobId === jobId &&
        !isFinal(run.status) &&
        flowStateOf(run).passed.includes("singleton"),
    );
    if (open.length > 1)
      throw new Violation("RULE", `${open.map(({ id }) => id).join(" and ")} of ${jobId} are open`);
  }

  /** Starts of "turns" keep their distance. */
  #judgeTurns(writes: readonly RunWrite[], results: readonly CommitResult[]): void {
    for (const [index, { values = [] }] of writes.entries()) {
      const value = values.find(({ key }) => key.startsWith("flow:turns/throttle/"))?.value;
      if (typeof value !== "string" || results[index]?.result !== "ok") continue;
      const { starts } = JSON.parse(value) as { starts: [number, number][] };
      const [at = 0] = starts.at(-1) ?? [];
      const isNew = at > this.#lastTurn;
      if (isNew && at < this.#lastTurn + TURN_MS)
        throw new Violation("RULE", `turns at ${this.#lastTurn} and ${at}`);
      this.#lastTurn = Math.max(at, this.#lastTurn);
    }
  }

  #judge({ before, after, tasksBefore, tasks }: Change): void {
    const { id, status, generation } = after;
    if (isFinal(status) || isPaused(after)) this.open.delete(id);
    else this.open.add(id);
    this.schedules.look(before, after);
    if (before !== undefined) {
      if (after.epoch < before.epoch || generation < before.generation) {
        throw new Violation("G4", `epoch or generation of run ${id} went back`);
      }
      if (isFinal(before.status) && generation === before.generation) {
        this.#judgeFinal(before, after, tasksBefore, tasks);
      }
    }
    for (const task of tasksBefore.values()) judgeRecord(id, task, tasks.get(task.path));
    if (tasks !== tasksBefore) this.#judgeWaits(id, tasksBefore, tasks);
    const wasFinal = before !== undefined && isFinal(before.status);
    if (isFinal(status) && !(wasFinal && before.generation === generation)) {
      this.ends.set(id, [...(this.ends.get(id) ?? []), { generation, status }]);
      this.onEnd(id, status);
    }
  }

  #judgeFinal(
    before: RunRecord,
    after: RunRecord,
    tasksBefore: ReadonlyMap<string, StoredTask>,
    tasks: ReadonlyMap<string, StoredTask>,
  ): void {
    const isSame =
      before.status === after.status &&
      before.output === after.output &&
      before.error === after.error &&
      before.finishedAt === after.finishedAt &&
      tasks.size === tasksBefore.size &&
      [...tasksBefore.values()].every((task) => isSameTask(task, tasks.get(task.path)));
    if (!isSame) throw new Violation("S3", `run ${after.id} changed after its end`);
  }

  #judgeWaits(
    runId: string,
    before: ReadonlyMap<string, StoredTask>,
    after: ReadonlyMap<string, StoredTask>,
  ): void {
    const seqs = new Set<number>();
    for (const task of after.values()) {
      if (seqs.has(task.seq)) throw new Violation("S5", `seq ${task.seq} twice in run ${runId}`);
      seqs.add(task.seq);
      const earlier = before.get(task.path);
      if (earlier?.status !== "WAITING" || earlier.wakeAt === null) continue;
      const isOver = task.kind === "wait" && task.status === "COMPLETED";
      const isTried = task.kind === "task" && task.attempts > earlier.attempts;
      if ((isOver || isTried) && this.#now() < earlier.wakeAt) {
        throw new Violation(
          "G20",
          `${task.path} of run ${runId} went on ${earlier.wakeAt - this.#now()} ms early`,
        );
      }
    }
  }
}

/** It rests until somebody resumes it. */
export function isPaused(run: RunRecord): boolean {
  return run.jobId === SCHEDULE_JOB && stateOf(run).paused === true;
}

function judgeRecord(runId: string, before: StoredTask, after: StoredTask | undefined): void {
  if (after === undefined) {
    throw new Violation("G3", `the record of ${before.path} of run ${runId} is gone`);
  }
  if (before.status === "COMPLETED" && !isSameTask(before, after)) {
    throw new Violation("G3", `the record of ${before.path} of run ${runId} changed`);
  }
}

function isSameTask(a: StoredTask, b: StoredTask | undefined): boolean {
  return (
    b !== undefined &&
    a.seq === b.seq &&
    a.kind === b.kind &&
    a.status === b.status &&
    a.attempts === b.attempts &&
    a.output === b.output &&
    a.error === b.error &&
    a.finishedAt === b.finishedAt &&
    a.data === b.data
  );
}
