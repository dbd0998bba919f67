import { isClaimable, isSuspect } from "../../core/claim-order.js";
import { OVERDUE_LIMIT } from "../../core/claim-plan.js";
import { claimAnswer, taskSize } from "../../core/run-tables.js";
import { type ClaimedRun, type ClaimRequest, type ClaimResult, NEVER } from "../../core/storage.js";
import { afterClaim } from "../../core/stored-run.js";
import type { MemoryData } from "./data.js";
import { type Lane, laneBefore } from "./due.js";
import { Heap } from "./heap.js";
import type { RunRow } from "./run-row.js";

export function claim(data: MemoryData, request: ClaimRequest, now: number): ClaimResult {
  data.slots.expire(now);
  const picked = again(data, request, now) ?? pick(data, request, now);
  // Afterwards: the start of a run moves its deadline.
  const overdue = data.deadlines.top((timer) => timer.at <= now, OVERDUE_LIMIT);
  return {
    now,
    runs: answersOf(picked.rows, request.taskBudget),
    nextDue: picked.nextDue,
    overdue: overdue.map((timer) => timer.row.id),
    nextDeadline: data.deadlines.peek()?.at ?? null,
  };
}

interface Picked {
  readonly rows: readonly RunRow[];
  readonly nextDue: number | null;
}

/** What a repeated claim took at first and still holds. */
function again(data: MemoryData, { claimId }: ClaimRequest, now: number): Picked | undefined {
  const rows = [...(data.claims.get(claimId) ?? [])].filter(
    ({ run }) => (run.leaseUntil ?? 0) > now,
  );
  return rows.length === 0 ? undefined : { rows, nextDue: now };
}

function pick(data: MemoryData, request: ClaimRequest, now: number): Picked {
  const taking = new Taking(data, request, now);
  if (request.only === undefined) return taking.inOrder();
  return taking.exactly(request.only);
}

/** One claim while it takes runs. */
class Taking {
  readonly #data: MemoryData;
  readonly #request: ClaimRequest;
  readonly #now: number;
  readonly #rows: RunRow[] = [];
  #suspects: number;
  /** A limit was saturated. */
  #passedOver = false;

  constructor(data: MemoryData, request: ClaimRequest, now: number) {
    this.#data = data;
    this.#request = request;
    this.#now = now;
    this.#suspects = request.suspects;
  }

  exactly(ids: readonly string[]): Picked {
    for (const id of new Set(ids)) {
      const row = this.#data.identities.run(id);
      if (row === undefined || this.#rows.length >= this.#request.limit) continue;
      if (!isClaimable(row.run, this.#request, this.#now)) continue;
      if (this.#mayTake(isSuspect(row.run), row.run.limitKeys)) this.#take(row);
    }
    return this.#picked(this.#lanes().some((lane) => this.#mayTake(lane.suspect, lane.limitKeys)));
  }

  inOrder(): Picked {
    const lanes = new Heap<Lane>(laneBefore);
    for (const lane of this.#lanes()) lanes.push(lane);
    for (let lane = lanes.pop(); lane !== undefined; lane = lanes.pop()) {
      // Slots and suspects only get fewer during a claim: what is passed over once stays so.
      if (!this.#mayTake(lane.suspect, lane.limitKeys)) continue;
      const row = lane.peek();
      if (row === undefined) continue;
      if (this.#rows.length >= this.#request.limit) return this.#picked(true);
      this.#take(row);
      if (lane.size > 0) lanes.push(lane);
    }
    return this.#picked(false);
  }

  #lanes(): Lane[] {
    const jobIds = new Set(this.#request.jobIds);
    return [...jobIds].flatMap((jobId) => [...this.#data.due.due(jobId, this.#now)]);
  }

  #mayTake(suspect: boolean, limitKeys: readonly string[]): boolean {
    if (suspect && this.#suspects <= 0) return false;
    const isFree = this.#data.slots.areFree(limitKeys, this.#request.limits);
    this.#passedOver ||= !isFree;
    return isFree;
  }

  #take(row: RunRow): void {
    if (isSuspect(row.run)) this.#suspects -= 1;
    const highestSeq = row.tasks?.highestSeq ?? 0;
    const next = afterClaim(row.stored, this.#request, highestSeq, this.#now);
    this.#data.replace(row, next, this.#now);
    this.#rows.push(row);
  }

  #picked(more: boolean): Picked {
    return { rows: this.#rows, nextDue: more ? this.#now : this.#nextDue() };
  }

  #nextDue(): number | null {
    const instants = this.#request.jobIds.map((jobId) => this.#data.due.nextDue(jobId));
    if (this.#passedOver) instants.push(this.#data.slots.nextExpiry());
    const next = instants.reduce<number>((a, b) => Math.min(a, b ?? NEVER), NEVER);
    return next === NEVER ? null : next;
  }
}

/** Fills the task budget run by run. */
function answersOf(rows: readonly RunRow[], taskBudget: number): ClaimedRun[] {
  let budget = taskBudget;
  return rows.map((row) => {
    const answer = claimAnswer(row, budget);
    for (const task of answer.tasks) budget -= taskSize(task);
    return answer;
  });
}
