import { isSuspect, SUSPECT_STALLS } from "../../core/claim-order.js";
import { OVERDUE_LIMIT, slotsOf } from "../../core/claim-plan.js";
import { type ClaimRequest, type ClaimResult, NEVER } from "../../core/storage.js";
import { afterClaim, type StoredRun } from "../../core/stored-run.js";
import { arrayText } from "./array.js";
import { claimedRuns } from "./claimed.js";
import type { Context } from "./context.js";
import type { Row, Session } from "./driver.js";
import {
  runColumns,
  type StoredRow,
  storedRowOf,
  updateParameters,
  updateRuns,
} from "./run-row.js";

/** Rows that are only looked at come in steps of so many. */
const STEP = 256;

export function claim(context: Context, request: ClaimRequest): Promise<ClaimResult> {
  return context.driver.transaction(async (session) => {
    // Slots are counted under it: nobody else takes one meanwhile (contract S7).
    if (Object.keys(request.limits).length > 0) await context.lock(session, ["claims"]);
    const now = await context.now(session);
    const scan = new ClaimScan(context, session, request, now);
    const again = await scan.heldBefore();
    const chosen = again.length > 0 ? [] : await scan.choose(request.limit);
    await take(context, session, request, chosen, now);
    const isMore = await scan.isMore();
    const { overdue, nextDeadline } = await deadlines(context, session, now);
    return {
      now,
      runs: await claimedRuns(context, session, [...again, ...chosen], request.taskBudget),
      nextDue: isMore ? now : await scan.nextDue(),
      overdue,
      nextDeadline,
    };
  });
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
  for (const row of rows)
    row.stored = afterClaim(row.stored, request, highest.get(row.rk) ?? 0, now);
  await session.query(updateRuns(schema), updateParameters(rows));
}

async function deadlines({ schema }: Context, session: Session, now: number) {
  const late = await session.query(
    `select id from ${schema}.runs where deadline_at <= $1::bigint order by deadline_at limit ${OVERDUE_LIMIT}`,
    [String(now)],
  );
  const [next] = await session.query(`select min(deadline_at)::text from ${schema}.runs`);
  return { overdue: late.map(([id]) => id ?? ""), nextDeadline: instantOf(next) };
}

function instantOf(row: Row | undefined): number | null {
  const text = row?.[0] ?? null;
  return text === null || Number(text) >= NEVER ? null : Number(text);
}

/** One claim, and which slots are free while it takes runs. */
class ClaimScan {
  readonly #context: Context;
  readonly #session: Session;
  readonly #request: ClaimRequest;
  readonly #now: number;
  readonly #used = new Map<string, number>();
  /** Limit keys that were found full, whose runs are passed over from then on. */
  readonly #saturated = new Set<string>();
  readonly #seen = new Set<string>();
  #suspects: number;

  constructor(context: Context, session: Session, request: ClaimRequest, now: number) {
    this.#context = context;
    this.#session = session;
    this.#request = request;
    this.#now = now;
    this.#suspects = request.suspects;
  }

  /** What a repeated claim took at first and still holds. */
  async heldBefore(): Promise<StoredRow[]> {
    const { claimId } = this.#request;
    const rows = await this.#select(
      "r.claim_id = $1 and r.lease_until > $2::bigint order by r.rank, r.due_at, r.rk",
      [claimId, String(this.#now)],
    );
    return rows;
  }

  /**
   * At most `limit` runs, locked. No more rows are locked than may be taken:
   * others pass over locked ones, and would find nothing.
   */
  async choose(limit: number): Promise<StoredRow[]> {
    const chosen: StoredRow[] = [];
    while (chosen.length < limit) {
      const wanted = limit - chosen.length;
      const found = await this.#candidates(wanted, "for no key update skip locked");
      for (const row of found) {
        this.#seen.add(row.rk);
        if (!this.#mayTake(row.stored)) continue;
        this.#use(row.stored);
        chosen.push(row);
      }
      if (found.length < wanted) break;
    }
    return chosen;
  }

  /** Whether another claim would find something now. */
  async isMore(): Promise<boolean> {
    for (;;) {
      const found = await this.#candidates(STEP, "", null);
      if (found.some(({ stored }) => this.#mayTake(stored))) return true;
      if (found.length < STEP) return false;
      for (const { rk } of found) this.#seen.add(rk);
    }
  }

  async nextDue(): Promise<number | null> {
    const { schema } = this.#context;
    const [due] = await this.#session.query(
      `select min(due_at)::text from ${schema}.runs where due_at > $1::bigint and job_id = any($2::text[])`,
      [String(this.#now), arrayText(this.#request.jobIds)],
    );
    const released =
      this.#saturated.size === 0
        ? undefined
        : await this.#session.query(
            `select min(lease_until)::text from ${schema}.runs where lease_until > $1::bigint and limit_keys && $2::text[]`,
            [String(this.#now), arrayText([...this.#saturated])],
          );
    const next = Math.min(instantOf(due) ?? NEVER, instantOf(released?.[0]) ?? NEVER);
    return next === NEVER ? null : next;
  }

  async #candidates(
    limit: number,
    lock: "for no key update skip locked" | "",
    only: readonly string[] | null = this.#request.only ?? null,
  ): Promise<StoredRow[]> {
    const { jobIds } = this.#request;
    const stallsBelow = this.#suspects > 0 ? NEVER : SUSPECT_STALLS;
    const which =
      only === null
        ? "r.due_at <= $1::bigint and $6::text is null"
        : "r.due_at is not null and (r.lease_until is null or r.lease_until <= $1::bigint) and r.id = any($6::text[])";
    const found = await this.#select(
      `${which} and r.job_id = any($2::text[]) and r.stalls < $3::bigint and not (r.rk = any($4::bigint[])) ` +
        "and not coalesce(r.limit_keys && $5::text[], false) " +
        `order by r.rank, r.due_at, r.rk limit ${limit} ${lock}`,
      [
        String(this.#now),
        arrayText(jobIds),
        String(stallsBelow),
        arrayText([...this.#seen]),
        arrayText([...this.#saturated]),
        only === null ? null : arrayText(only),
      ],
    );
    await this.#countSlots(found);
    return found;
  }

  async #select(where: string, parameters: readonly (string | null)[]): Promise<StoredRow[]> {
    const { schema } = this.#context;
    const rows = await this.#session.query(
      `select ${runColumns} from ${schema}.runs r where ${where}`,
      parameters,
    );
    return rows.map(storedRowOf);
  }

  /** How many runs hold each limit key that has not been met before. */
  async #countSlots(rows: readonly StoredRow[]): Promise<void> {
    const { limits } = this.#request;
    const keys = new Set(
      rows
        .flatMap(({ stored }) => stored.run.limitKeys)
        .filter((key) => !this.#used.has(key) && slotsOf(key, limits) < Number.POSITIVE_INFINITY),
    );
    if (keys.size === 0) return;
    const { schema } = this.#context;
    const counts = await this.#session.query(
      `select key, count(*)::text from ${schema}.runs r cross join unnest(r.limit_keys) as key ` +
        "where r.limit_keys && $1::text[] and r.lease_until > $2::bigint group by key",
      [arrayText([...keys]), String(this.#now)],
    );
    for (const key of keys) this.#used.set(key, 0);
    for (const [key, count] of counts)
      if (key !== null && key !== undefined && keys.has(key)) this.#used.set(key, Number(count));
  }

  #mayTake({ run }: StoredRun): boolean {
    if (isSuspect(run) && this.#suspects <= 0) return false;
    const { limits } = this.#request;
    const full = run.limitKeys.filter((key) => (this.#used.get(key) ?? 0) >= slotsOf(key, limits));
    for (const key of full) this.#saturated.add(key);
    return full.length === 0;
  }

  #use({ run }: StoredRun): void {
    if (isSuspect(run)) this.#suspects -= 1;
    for (const key of run.limitKeys) this.#used.set(key, (this.#used.get(key) ?? 0) + 1);
  }
}
