import { isInternal } from "../../core/final.js";
import type { ClaimedRun, ClaimRequest, ClaimResult, RunRecord } from "../../core/storage.js";
import { afterClaim } from "../../core/stored-run.js";
import { arrayText } from "./array.js";
import { type ClaimProbe, probe } from "./claim-probe.js";
import { type Claim, ClaimScan } from "./claim-scan.js";
import { claimedRuns, type TakenRun } from "./claimed.js";
import type { Context } from "./context.js";
import { oneByOne, type Queries, type Session } from "./driver.js";
import type { StoredRow } from "./run-row.js";
import { updateRuns } from "./run-update.js";
import { decidesNothing, isShortClaim, takeDue } from "./short-claim.js";

export async function claim(context: Context, request: ClaimRequest): Promise<ClaimResult> {
  const { claimsAtOnce } = context;
  if (claimsAtOnce.mayTake(request.workerId)) {
    const atOnce = await claimAtOnce(context, request);
    if (atOnce !== undefined) {
      claimsAtOnce.took(request.workerId, atOnce.runs.length >= request.limit);
      return atOnce;
    }
  }
  const looked = await lookAndClaim(context, request);
  const { nextDue, now, runs } = looked;
  const isMore = nextDue !== null && nextDue <= now;
  claimsAtOnce.looked(request.workerId, isMore && runs.length >= request.limit);
  return looked;
}

async function lookAndClaim(context: Context, request: ClaimRequest): Promise<ClaimResult> {
  const known = await probe(context, context.driver, request);
  if (!known.isDue && !known.isRepeated && request.only === undefined) return answerOf(known);
  return (
    (await claimShortly(context, request, known)) ??
    context.driver.transaction((session) => claimDue(context, session, request, known))
  );
}

function answerOf({ now, nextDue, overdue, nextDeadline }: ClaimProbe): ClaimResult {
  return { now, runs: [], nextDue, overdue, nextDeadline };
}

/**
 * Where something is due for certain: what can be taken without a look at everything else, which whoever gets
 * something here is told to take next.
 */
async function claimAtOnce(
  context: Context,
  request: ClaimRequest,
): Promise<ClaimResult | undefined> {
  if (!decidesNothing(request) || request.jobIds.every(isInternal)) return undefined;
  const session = oneByOne(context.driver);
  const now = await context.clock.atLeast(session);
  const taken = await takeDue(context, request, now);
  if (taken.length === 0) return undefined;
  const runs = await learned(context, session, request, taken);
  return { now, runs, nextDue: now, overdue: [], nextDeadline: null };
}

/**
 * What is taken is held from then on: what belongs to it may be read in a transaction of its own, and if nobody hears
 * of it, the repeated claim finds it. Undefined: nothing was taken, be it that others were faster or that a first try
 * of this claim has taken it.
 */
async function claimShortly(
  context: Context,
  request: ClaimRequest,
  known: ClaimProbe,
): Promise<ClaimResult | undefined> {
  if (!isShortClaim(request, known)) return undefined;
  const session = oneByOne(context.driver);
  const now = await context.clock.atLeast(session);
  const taken = await takeDue(context, request, now);
  if (taken.length === 0) return undefined;
  const before = taken.map(({ wasDueAt }) => ({ dueAt: wasDueAt }));
  const claim = { request, known, now };
  const scan = new ClaimScan(context, session, claim);
  return answerWith(context, session, { ...claim, scan, before, taken });
}

interface Outcome extends Claim {
  readonly scan: ClaimScan;
  /** What was taken, as it was before. */
  readonly before: readonly Pick<RunRecord, "dueAt">[];
  /** Also what the first try of this claim took. */
  readonly taken: readonly TakenRun[];
}

async function answerWith(
  context: Context,
  session: Queries,
  { request, known, now, scan, before, taken }: Outcome,
): Promise<ClaimResult> {
  const runs = await learned(context, session, request, taken);
  const after = taken.map(({ run }) => run);
  return { ...answerOf(known), now, runs, nextDue: await scan.nextDue(before, after) };
}

async function learned(
  context: Context,
  session: Queries,
  { taskBudget }: ClaimRequest,
  taken: readonly TakenRun[],
): Promise<ClaimedRun[]> {
  const runs = await claimedRuns(context, session, taken, taskBudget);
  for (const { run } of runs) context.held.learn(run.id, run);
  context.paths.learnClaimed(runs);
  return runs;
}

async function claimDue(
  context: Context,
  session: Session,
  request: ClaimRequest,
  known: ClaimProbe,
): Promise<ClaimResult> {
  const { clock } = context;
  const isLimited = Object.keys(request.limits).length > 0;
  // Slots are counted under it: nobody else takes one meanwhile (contract S7).
  if (isLimited) await context.lock(session, ["claims"]);
  const now = isLimited ? await clock.now(session) : await clock.atLeast(session);
  const claim = { request, known, now };
  const scan = new ClaimScan(context, session, claim);
  const again = known.isRepeated ? await scan.heldBefore() : [];
  const chosen = again.length > 0 ? [] : await scan.choose(request.limit);
  // Its first try may have been committed since the probe.
  if (again.length + chosen.length === 0) again.push(...(await scan.heldBefore()));
  const before = chosen.map(({ stored }) => stored.run);
  const rows = [...again, ...chosen];
  const wasStarted = new Set(rows.filter(({ stored }) => stored.run.startedAt !== null));
  await take(context, session, request, chosen, now);
  const taken = rows.map((row) => ({
    rk: row.rk,
    run: row.stored.run,
    kept: row.stored.claim?.kept === true,
    mayHaveRecords: wasStarted.has(row),
  }));
  return answerWith(context, session, { ...claim, scan, before, taken });
}

async function take(
  { schema }: Context,
  session: Session,
  request: ClaimRequest,
  rows: readonly StoredRow[],
  now: number,
): Promise<void> {
  if (rows.length === 0) return;
  const lapsed = rows.filter(({ stored }) => stored.run.leaseUntil !== null);
  const highest = new Map<string, number>();
  if (lapsed.length > 0) {
    const found = await session.query(
      `select rk::text, max(seq)::text from ${schema}.tasks where rk = any($1::bigint[]) group by rk`,
      [arrayText(lapsed.map(({ rk }) => rk))],
    );
    for (const [rk, seq] of found) highest.set(rk ?? "", Number(seq));
  }
  const updates = rows.map((row) => {
    const before = row.stored;
    row.stored = afterClaim(before, request, highest.get(row.rk) ?? 0, now);
    return { rk: row.rk, before, stored: row.stored };
  });
  await updateRuns(schema, session, updates);
}
