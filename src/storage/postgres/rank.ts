/** Below the ranks of all runs that are not internal; priorities reach from -1000 to 1000. */
const INTERNAL = 1_000_000;
const GREATEST_PRIORITY = 100_000;

/** The order of claims as one number, lower first: internal runs, then greater priority, then runs that have started. */
export function rankOf(run: {
  readonly internal: boolean;
  readonly priority: number;
  readonly started: boolean;
}): number {
  const priority = Math.max(-GREATEST_PRIORITY, Math.min(GREATEST_PRIORITY, run.priority));
  return (run.internal ? -INTERNAL : 0) - priority * 2 + (run.started ? 0 : 1);
}

/**
 * A recursive table `ranks (rank)` with the ranks of all open runs, in order, and a null at its end. Found by leaps
 * through the index runs_claim, so that no run is looked at which is not due: within a rank that index is in the order
 * in which they are.
 */
export function ranks(schema: string): string {
  const next = (after: string) =>
    `(select r.rank from ${schema}.runs r where r.due_at is not null ${after} order by r.rank limit 1)`;
  return (
    `ranks (rank) as (${next("")} union all ` +
    `select ${next("and r.rank > ranks.rank")} from ranks where ranks.rank is not null)`
  );
}
