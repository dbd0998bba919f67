import { isSuspect, SUSPECT_STALLS } from "../../core/claim-order.js";
import { slotsOf } from "../../core/claim-plan.js";
import { type ClaimRequest, NEVER, type RunRecord } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Row, Session } from "./driver.js";
import { ranks } from "./rank.js";
import { RowReader } from "./row-reader.js";
import { runColumns, type StoredRow, storedRowOf } from "./run-row.js";

/** Rows that are only looked at come in steps of so many. */
const STEP = 256;

/** What decides whether a run may be taken. */
type Candidate = Pick<RunRecord, "limitKeys" | "stalls">;

/** One claim, and which slots are free while it takes runs. */
export class ClaimScan {
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
    const { schema } = this.#context;
    const rows = await this.#session.query(
      `select ${runColumns} from ${schema}.runs r where r.claim_id = $1 and r.lease_until > $2::bigint ` +
        "order by r.rank, r.due_at, r.rk",
      [this.#request.claimId, String(this.#now)],
    );
    return rows.map(storedRowOf);
  }

  /**
   * At most `limit` runs, locked. No more rows are locked than may be taken:
   * others pass over locked ones, and would find nothing.
   */
  async choose(limit: number): Promise<StoredRow[]> {
    const chosen: StoredRow[] = [];
    while (chosen.length < limit) {
      const wanted = limit - chosen.length;
      const rows = await this.#select(runColumns, wanted, "for no key update skip locked");
      const found = rows.map(storedRowOf);
      await this.#countSlots(found.map(({ stored }) => stored.run));
      for (const row of found) {
        this.#seen.add(row.rk);
        if (!this.#mayTake(row.stored.run)) continue;
        this.#use(row.stored.run);
        chosen.push(row);
      }
      if (found.length < wanted) break;
    }
    return chosen;
  }

  /** Whether another claim would find something now. */
  async isMore(): Promise<boolean> {
    const columns = "r.rk::text, array_to_json(r.limit_keys)::text, r.stalls::text";
    // The first one will do, unless it may not be taken.
    for (let step = 1; ; step = STEP) {
      const rows = await this.#selectDue(columns, step, "");
      const found = rows.map(candidateOf);
      await this.#countSlots(found.map(({ run }) => run));
      if (found.some(({ run }) => this.#mayTake(run))) return true;
      if (found.length < step) return false;
      for (const { rk } of found) this.#seen.add(rk);
    }
  }

  async nextDue(): Promise<number | null> {
    const { schema } = this.#context;
    const [due] = await this.#session.query(
      `with recursive ${ranks(schema)} select min((select r.due_at from ${schema}.runs r ` +
        "where r.rank = ranks.rank and r.due_at > $1::bigint and r.job_id = any($2::text[]) order by r.due_at, r.rk limit 1))::text from ranks",
      [String(this.#now), arrayText(this.#request.jobIds)],
    );
    const released =
      this.#saturated.size === 0
        ? undefined
        : await this.#session.query(
            `select min(lease_until)::text from ${schema}.runs where lease_until > $1::bigint and limit_keys && $2::text[]`,
            [String(this.#now), arrayText([...this.#saturated])],
          );
    const next = Math.min(instantOf(due), instantOf(released?.[0]));
    return next === NEVER ? null : next;
  }

  #select(columns: string, limit: number, lock: string): Promise<readonly Row[]> {
    const { only } = this.#request;
    return only === undefined
      ? this.#selectDue(columns, limit, lock)
      : this.#selectNamed(only, columns, limit, lock);
  }

  #selectDue(columns: string, limit: number, lock: string): Promise<readonly Row[]> {
    const { schema } = this.#context;
    return this.#session.query(
      `with recursive ${ranks(schema)} select found.* from ranks cross join lateral (select ${columns} from ${schema}.runs r ` +
        `where r.rank = ranks.rank and r.due_at <= $1::bigint and ${this.#mayPass} ` +
        `order by r.due_at, r.rk limit $6::bigint ${lock}) as found limit $6::bigint`,
      [...this.#filter, String(limit)],
    );
  }

  #selectNamed(
    only: readonly string[],
    columns: string,
    limit: number,
    lock: string,
  ): Promise<readonly Row[]> {
    const { schema } = this.#context;
    return this.#session.query(
      `select ${columns} from ${schema}.runs r where r.due_at is not null and (r.lease_until is null or r.lease_until <= $1::bigint) ` +
        `and r.id = any($7::text[]) and ${this.#mayPass} order by r.rank, r.due_at, r.rk limit $6::bigint ${lock}`,
      [...this.#filter, String(limit), arrayText(only)],
    );
  }

  readonly #mayPass =
    "r.job_id = any($2::text[]) and r.stalls < $3::bigint and not (r.rk = any($4::bigint[])) " +
    "and not coalesce(r.limit_keys && $5::text[], false)";

  get #filter() {
    return [
      String(this.#now),
      arrayText(this.#request.jobIds),
      String(this.#suspects > 0 ? NEVER : SUSPECT_STALLS),
      arrayText([...this.#seen]),
      arrayText([...this.#saturated]),
    ];
  }

  /** How many runs hold each limit key that has not been met before. */
  async #countSlots(runs: readonly Candidate[]): Promise<void> {
    const { limits } = this.#request;
    const keys = new Set(
      runs
        .flatMap(({ limitKeys }) => limitKeys)
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

  #mayTake(run: Candidate): boolean {
    if (isSuspect(run) && this.#suspects <= 0) return false;
    const { limits } = this.#request;
    const full = run.limitKeys.filter((key) => (this.#used.get(key) ?? 0) >= slotsOf(key, limits));
    for (const key of full) this.#saturated.add(key);
    return full.length === 0;
  }

  #use(run: Candidate): void {
    if (isSuspect(run)) this.#suspects -= 1;
    for (const key of run.limitKeys) this.#used.set(key, (this.#used.get(key) ?? 0) + 1);
  }
}

function candidateOf(row: Row): { readonly rk: string; readonly run: Candidate } {
  const read = new RowReader(row);
  const rk = read.string();
  return { rk, run: { limitKeys: read.strings(), stalls: read.number() } };
}

function instantOf(row: Row | undefined): number {
  const text = row?.[0] ?? null;
  return text === null ? NEVER : Number(text);
}
