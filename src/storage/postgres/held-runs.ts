import type { CommitResult, RunRecord } from "../../core/storage.js";

export type Lease = Pick<RunRecord, "epoch" | "inbox" | "leaseUntil">;

/** Far more than one process holds: the bound is for those that were lost unnoticed. */
const MOST_RUNS = 100_000;

/**
 * What the server said last of the runs that this process holds. A record is
 * written on condition that it still holds, and then there is nothing to ask.
 */
export class HeldRuns {
  readonly #runs = new Map<string, Lease>();
  readonly #most: number;

  constructor(most = MOST_RUNS) {
    this.#most = most;
  }

  of(runId: string, epoch: number): Lease | undefined {
    const lease = this.#runs.get(runId);
    return lease?.epoch === epoch ? lease : undefined;
  }

  learn(runId: string, { epoch, inbox, leaseUntil }: Lease): void {
    const known = this.#runs.get(runId);
    const isKnown = known?.epoch === epoch && known.inbox === inbox;
    if (isKnown && known.leaseUntil === leaseUntil) return;
    this.#runs.delete(runId);
    if (leaseUntil === null) return;
    this.#runs.set(runId, { epoch, inbox, leaseUntil });
    if (this.#runs.size > this.#most) this.#forgetOldest();
  }

  learnFrom(runId: string, answer: CommitResult): void {
    if (answer.result === "ok") this.learn(runId, answer);
    else if (answer.result !== "busy") this.#runs.delete(runId);
  }

  forget(runId: string): void {
    this.#runs.delete(runId);
  }

  #forgetOldest(): void {
    for (const runId of this.#runs.keys()) {
      this.#runs.delete(runId);
      return;
    }
  }
}
