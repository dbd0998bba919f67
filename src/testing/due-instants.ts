import type { ClaimResult, Storage } from "../core/storage.js";
import { aroundMethods } from "./storage-methods.js";

/** Learns from a storage's own answers when something is due next, and how much was written. */
export class DueInstants {
  #nextDue: number | undefined;
  readonly #deadlines = new Map<string, number>();
  #writes = 0;

  /** Commits and creations so far. */
  get writes(): number {
    return this.#writes;
  }

  watch(storage: Storage): Storage {
    return aroundMethods(storage, async (name, call) => {
      const answer = await call();
      if (name === "claimRuns") this.#see(answer as ClaimResult);
      if (name === "commit" || name === "createRuns") this.#writes++;
      return answer;
    });
  }

  /** The next instant after `now` at which a run is due, or over. */
  after(now: number): number | undefined {
    const all = [...this.#deadlines.values(), this.#nextDue ?? Number.POSITIVE_INFINITY];
    const next = Math.min(...all.filter((instant) => instant > now));
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  #see({ nextDue, runs }: ClaimResult): void {
    this.#nextDue = nextDue ?? undefined;
    for (const { run } of runs) {
      if (run.deadlineAt !== null) this.#deadlines.set(run.id, run.deadlineAt);
    }
  }
}
