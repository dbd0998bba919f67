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
