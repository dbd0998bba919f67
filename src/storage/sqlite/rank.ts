import type { Database } from "./database.js";
import { firstNumber } from "./text.js";

/** Below the ranks of all runs that are not internal; priorities reach from -1000 to 1000. */
const INTERNAL = 1_000_000;
const GREATEST_PRIORITY = 100_000;

const selectRank = "select min(rank) from pawl_runs where due_at is not null and rank > ?";

/**
 * The order of claims as one number, lower first: internal runs, then greater
 * priority, then runs that have started. Few numbers are in use at a time, so
 * a claim can look at one after the other.
 */
export function rankOf(run: { internal: boolean; priority: number; started: boolean }): number {
  const priority = Math.max(-GREATEST_PRIORITY, Math.min(GREATEST_PRIORITY, run.priority));
  return (run.internal ? -INTERNAL : 0) - priority * 2 + (run.started ? 0 : 1);
}

/** All internal runs are before it. */
export const lowestPublicRank = -INTERNAL / 2;

/** The ranks that open runs have, from this one on, found by leaps through the index. */
export function ranksFrom(database: Database, lowest: number): number[] {
  const ranks: number[] = [];
  for (let rank = lowest - 1; ; ) {
    const next = firstNumber(database.get(selectRank, [rank]));
    if (next === undefined) return ranks;
    ranks.push(next);
    rank = next;
  }
}
