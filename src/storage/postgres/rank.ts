import { isInternal } from "../../core/final.js";

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

/** Above all ranks in which these jobs have runs. */
export function rankAbove(jobIds: readonly string[]): number {
  return jobIds.every(isInternal) ? -INTERNAL / 2 : INTERNAL;
}

/**
 * A recursive table `ranks (rank, first)` with the ranks of all open runs, in order, and when the first of each is due.
 * Found by leaps through the index runs_claim, so that no run is looked at which is not due: within a rank that index is
 * in the order in which they are. Before the first there may be many that were taken and have not been vacuumed yet: who
 * begins at `first` passes over them no second time.
 *
 * @param below an expression: only ranks below it
 */
export function ranks(schema: string, below?: string): string {
  const isBelow = below === undefined ? "" : `and r.rank < ${below}`;
  const next = (after: string) =>
    `(select r.rank, r.due_at from ${schema}.runs r where r.due_at is not null ${isBelow} ${after} order by r.rank, r.due_at limit 1)`;
  return (
    `ranks (rank, first) as (${next("")} union all ` +
    `select next.* from ranks cross join lateral ${next("and r.rank > ranks.rank")} as next)`
  );
}

/** Whether the run of this alias is one of the rank that is due. */
export function isDueIn(run: string, now: string): string {
  return `${run}.rank = ranks.rank and ${run}.due_at >= ranks.first and ${run}.due_at <= ${now}`;
}

/**
 * The first of these runs that are of the job `j.id`, in order. Compared as rows they are many for the planner, so
 * that it does not take the index of all jobs for as good as runs_lane.
 */
export function firstOfJob(
  schema: string,
  now: string,
  { also, limit }: { readonly also: string; readonly limit: string | number },
): string {
  const place = "(x.rank, x.due_at)";
  return (
    `select x.rk, x.due_at from ${schema}.runs x where x.job_id = j.id and x.due_at is not null ` +
    `and ${place} >= (ranks.rank, ranks.first) and ${place} <= (ranks.rank, ${now}) and ${also} order by x.rank, x.due_at, x.rk limit ${unknown(limit)}`
  );
}

/** So many runs of other jobs a claim looks at one by one, then it goes another way. */
export const PATIENCE = 256;

/**
 * As a limit or an offset. Of a number that it does not know the planner expects to need few rows, and walks through
 * the index in its order; of one that it knows it may rather read and sort all that is due, if it takes that for little,
 * as it does of a table that has grown since its last statistics.
 */
export function unknown(number: number | string): string {
  return `(select ${number}::bigint)`;
}

/** Runs of a rank that are due, those first that are due the longest. */
function dueInOrder(schema: string, now: string): string {
  return `${schema}.runs r where ${isDueIn("r", now)} order by r.due_at, r.rk`;
}

/**
 * Due runs of these jobs, after {@link ranks} and with jobs as `$2`, but none behind very many others of their rank:
 * a table `waiting (stalls, lapsed)`, which tells of each whether a lease of it has run out.
 */
export function waiting(
  schema: string,
  now: string,
  { limit, belowStalls }: { readonly limit: string; readonly belowStalls: string },
): string {
  return (
    `waiting (stalls, lapsed) as materialized (select head.stalls, head.lapsed from ranks cross join lateral (select r.job_id, r.stalls, r.lease_until is not null as lapsed from ${dueInOrder(schema, now)} ` +
    `limit ${unknown(PATIENCE)}) as head where head.job_id = any($2::text[]) and head.stalls < ${belowStalls} limit ${unknown(limit)})`
  );
}

/** Whether there are very many due runs in a rank. */
export function isLong(schema: string, now: string): string {
  return `exists (select from ranks cross join lateral ${beyond(schema, now)})`;
}

/** Whether one of these jobs has a due run where {@link isLong}: a look at each job costs less than one at each run. */
export function isDueInLong(schema: string, now: string): string {
  return (
    `exists (select from ranks cross join lateral ${beyond(schema, now)} cross join unnest($2::text[]) as j(id) ` +
    `cross join lateral (${firstOfJob(schema, now, { also: "true", limit: 1 })}) as found)`
  );
}

function beyond(schema: string, now: string): string {
  return `(select from ${dueInOrder(schema, now)} offset ${unknown(PATIENCE)} limit 1) as beyond`;
}

/**
 * Earliest instant after now at which one of these jobs has a due run. Behind very many runs of others it is an
 * earlier one, at which the caller looks again.
 */
export function nextDue(schema: string, now: string): string {
  const later = `${schema}.runs r where r.rank = ranks.rank and r.due_at >= ranks.first and r.due_at > ${now} order by r.due_at, r.rk`;
  return (
    `(select min(coalesce((select head.due_at from (select r.due_at, r.job_id from ${later} limit ${unknown(PATIENCE)}) as head ` +
    "where head.job_id = any($2::text[]) order by head.due_at limit 1), " +
    `(select r.due_at from ${later} offset ${unknown(PATIENCE - 1)} limit 1))) from ranks)`
  );
}
