import { claimOrder, isClaimable, isSuspect } from "./claim-order.js";
import { type ClaimRequest, type ClaimResult, NEVER } from "./storage.js";
import { afterClaim, type StoredRun } from "./stored-run.js";

/** How many runs with this limit key may be held at once (S7). A limit id that is not named is not limited. */
export function slotsOf(limitKey: string, limits: Readonly<Record<string, number>>): number {
  const id = limitKey.slice(0, limitKey.indexOf("/"));
  return (Object.hasOwn(limits, id) ? limits[id] : undefined) ?? Number.POSITIVE_INFINITY;
}

/** So many overdue runs are answered at most. */
export const OVERDUE_LIMIT = 100;

/** A run as `planClaim` looks at it. */
export interface ClaimRow {
  readonly stored: StoredRun;
  readonly tasks: { readonly highestSeq: number };
}

export interface ClaimPlan<R> extends Pick<ClaimResult, "nextDue" | "overdue" | "nextDeadline"> {
  /** The rows of the runs to be answered, with what is to be stored of these. */
  readonly taken: readonly { readonly row: R; readonly stored: StoredRun }[];
}

/**
 * What a claim takes and answers, by a look at each of `rows` in the order of
 * their creation: for a store without indexes. Limits are kept if nothing
 * comes between this look and what is stored of it.
 */
export function planClaim<R extends ClaimRow>(
  rows: readonly R[],
  request: ClaimRequest,
  now: number,
): ClaimPlan<R> {
  const held = rows.filter(({ stored }) => (stored.run.leaseUntil ?? 0) > now);
  const again = held.filter(({ stored }) => stored.claim?.id === request.claimId);
  const scan = new ClaimScan(held, request);
  const limit = again.length > 0 ? 0 : request.limit;
  const chosen = scan.choose(claimable(rows, request, now), limit);
  const states = new Map<R, StoredRun>(again.map((row) => [row, row.stored]));
  for (const row of chosen)
    states.set(row, afterClaim(row.stored, request, row.tasks.highestSeq, now));
  const taken = [...states].map(([row, stored]) => ({ row, stored }));
  const after = rows.map((row) => ({ stored: states.get(row) ?? row.stored }));
  const isMore = scan.choose(claimable(after, { jobIds: request.jobIds }, now), 1).length > 0;
  const nextDue = isMore ? now : scan.nextDue(after, now);
  return { taken, nextDue, ...deadlinesOf(after, now) };
}

type StoredRow = Pick<ClaimRow, "stored">;

function claimable<R extends StoredRow>(
  rows: readonly R[],
  request: Pick<ClaimRequest, "jobIds" | "only">,
  now: number,
): R[] {
  const found = rows.filter(({ stored }) => isClaimable(stored.run, request, now));
  return found.sort((a, b) => claimOrder(a.stored.run, b.stored.run));
}

function earliest(instants: readonly (number | null)[]): number | null {
  const first = instants.reduce<number>((a, b) => Math.min(a, b ?? NEVER), NEVER);
  return first === NEVER ? null : first;
}

function deadlinesOf(rows: readonly StoredRow[], now: number) {
  const runs = rows.map(({ stored }) => stored.run);
  const late = runs.filter(({ deadlineAt }) => deadlineAt !== null && deadlineAt <= now);
  const overdue = late.slice(0, OVERDUE_LIMIT).map(({ id }) => id);
  return { overdue, nextDeadline: earliest(runs.map(({ deadlineAt }) => deadlineAt)) };
}

/** One claim, and which slots are free while it takes runs. */
class ClaimScan {
  readonly #request: ClaimRequest;
  readonly #used = new Map<string, number>();
  #suspects: number;
  /** A limit was saturated. */
  #passedOver = false;

  constructor(held: readonly StoredRow[], request: ClaimRequest) {
    this.#request = request;
    this.#suspects = request.suspects;
    for (const { stored } of held) this.#use(stored);
  }

  choose<R extends StoredRow>(candidates: readonly R[], limit: number): R[] {
    const chosen: R[] = [];
    for (const row of candidates) {
      if (chosen.length >= limit) break;
      if (!this.#mayTake(row.stored)) continue;
      this.#use(row.stored);
      if (isSuspect(row.stored.run)) this.#suspects -= 1;
      chosen.push(row);
    }
    return chosen;
  }

  /** With saturated limits also when the first slot is free for certain. */
  nextDue(rows: readonly StoredRow[], now: number): number | null {
    const { jobIds } = this.#request;
    const instants = rows.flatMap(({ stored: { run } }) => [
      jobIds.includes(run.jobId) ? run.dueAt : null,
      this.#passedOver && run.limitKeys.length > 0 ? run.leaseUntil : null,
    ]);
    return earliest(instants.filter((at) => at !== null && at > now));
  }

  #mayTake({ run }: StoredRun): boolean {
    if (isSuspect(run) && this.#suspects <= 0) return false;
    const { limits } = this.#request;
    const used = (key: string) => this.#used.get(key) ?? 0;
    const isFree = run.limitKeys.every((key) => used(key) < slotsOf(key, limits));
    this.#passedOver ||= !isFree;
    return isFree;
  }

  #use({ run }: StoredRun): void {
    for (const key of run.limitKeys) this.#used.set(key, (this.#used.get(key) ?? 0) + 1);
  }
}
