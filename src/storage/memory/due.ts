import { claimOrder, isSuspect } from "../../core/claim-order.js";
import { isFinal } from "../../core/run-status.js";
import { NEVER } from "../../core/storage.js";
import { Heap } from "./heap.js";
import type { RunRow } from "./run-row.js";

function dueAtOf({ run }: RunRow): number {
  return run.dueAt ?? NEVER;
}

function claimedBefore(a: RunRow, b: RunRow): boolean {
  const order = claimOrder(a.run, b.run);
  return order === 0 ? a.order < b.order : order < 0;
}

function sooner(a: RunRow, b: RunRow): boolean {
  return dueAtOf(a) < dueAtOf(b);
}

function finishedSooner(a: RunRow, b: RunRow): boolean {
  const [first, second] = [a.run.finishedAt ?? 0, b.run.finishedAt ?? 0];
  return first === second ? a.order < b.order : first < second;
}

/** Due runs of one job that the same limits apply to, so that a saturated limit is passed over in one step. */
export class Lane extends Heap<RunRow> {
  heapIndex = -1;
  readonly name: string;
  readonly limitKeys: readonly string[];
  readonly suspect: boolean;

  constructor(name: string, row: RunRow) {
    super(claimedBefore);
    this.name = name;
    this.limitKeys = row.run.limitKeys;
    this.suspect = isSuspect(row.run);
  }
}

/** Orders lanes by their first runs. */
export function laneBefore(a: Lane, b: Lane): boolean {
  const first = a.peek();
  const second = b.peek();
  return first !== undefined && second !== undefined && claimedBefore(first, second);
}

function laneName({ run }: RunRow): string {
  const suspect = isSuspect(run) ? "!" : "";
  return run.limitKeys.length === 0 ? suspect : `${suspect}\u0000${run.limitKeys.join("\u0000")}`;
}

/** The open runs of one job that an instant makes due, or has made due. */
class JobQueue {
  readonly future = new Heap<RunRow>(sooner);
  readonly lanes = new Map<string, Lane>();

  lane(row: RunRow): Lane {
    const name = laneName(row);
    const lane = this.lanes.get(name);
    if (lane !== undefined) return lane;
    const added = new Lane(name, row);
    this.lanes.set(name, added);
    return added;
  }
}

/** Where every run waits for its claim or, when it is over, for its purge. Waiting without an instant costs nothing here. */
export class DueIndex {
  readonly finished = new Heap<RunRow>(finishedSooner);
  readonly #jobs = new Map<string, JobQueue>();

  /** Must come before any change of what the order depends on: due instant, priority, limit keys, stalls, start. */
  remove(row: RunRow): void {
    const home = row.home;
    if (home === null) return;
    home.remove(row);
    row.home = null;
    if (home instanceof Lane && home.size === 0) this.#jobs.get(row.jobId)?.lanes.delete(home.name);
  }

  place(row: RunRow, now: number): void {
    const home = this.#homeOf(row, now);
    home?.push(row);
    row.home = home;
  }

  /** Moves what has become due into its lanes and answers the lanes of a job. */
  due(jobId: string, now: number): Iterable<Lane> {
    const queue = this.#jobs.get(jobId);
    if (queue === undefined) return [];
    let next = queue.future.peek();
    while (next !== undefined && dueAtOf(next) <= now) {
      this.remove(next);
      this.place(next, now);
      next = queue.future.peek();
    }
    return queue.lanes.values();
  }

  nextDue(jobId: string): number | null {
    return this.#jobs.get(jobId)?.future.peek()?.run.dueAt ?? null;
  }

  #homeOf(row: RunRow, now: number): Heap<RunRow> | null {
    const { status, dueAt } = row.run;
    if (isFinal(status)) return this.finished;
    if (dueAt === null || dueAt >= NEVER) return null;
    const queue = this.#queue(row.jobId);
    return dueAt <= now ? queue.lane(row) : queue.future;
  }

  #queue(jobId: string): JobQueue {
    const queue = this.#jobs.get(jobId);
    if (queue !== undefined) return queue;
    const added = new JobQueue();
    this.#jobs.set(jobId, added);
    return added;
  }
}
