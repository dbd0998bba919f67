import { isSuspect } from "../../core/claim-order.js";
import { slotsOf } from "../../core/claim-plan.js";
import { type ClaimRequest, NEVER, type RunRecord } from "../../core/storage.js";
import { arrayText } from "./array.js";
import { type ClaimProbe, stallsBelow } from "./claim-probe.js";
import type { Context } from "./context.js";
import type { Parameter, Queries, Row } from "./driver.js";
import { firstOfJob, isDueIn, nextDue, PATIENCE, ranks, unknown } from "./rank.js";
import { RowReader } from "./row-reader.js";
import { runColumns, type StoredRow, storedRowOf } from "./run-row.js";

/** Rows that are only looked at come in steps that grow to so many. */
const LARGEST_STEP = 4_096;

/** What decides whether a run may be taken. */
type Candidate = Pick<RunRecord, "limitKeys" | "stalls">;

type Due = Pick<RunRecord, "dueAt">;

export interface Claim {
  readonly request: ClaimRequest;
  /** What was so a moment ago, before the transaction. */
  readonly known: ClaimProbe;
  readonly now: number;
}

/** One claim, and which slots are free while it takes runs. */
export class ClaimScan {
  readonly #context: Context;
  readonly #session: Queries;
  readonly #request: ClaimRequest;
  readonly #known: ClaimProbe;
  readonly #now: number;
  readonly #used = new Map<string, number>();
  /** Limit keys that were found full, whose runs are passed over from then on. */
  readonly #saturated = new Set<string>();
  readonly #seen = new Set<string>();
  #suspects: number;

  constructor(context: Context, session: Queries, { request, known, now }: Claim) {
    this.#context = context;
    this.#session = session;
    this.#request = request;
    this.#known = known;
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
    for (let wanted = limit; wanted > 0; wanted = limit - chosen.length) {
      const rows = await this.#selectToTake(wanted);
      const found = rows.map(storedRowOf);
      await this.#countSlots(found.map(({ stored }) => stored.run));
      const before = chosen.length;
      for (const row of found) {
        this.#seen.add(row.rk);
        if (!this.#mayTake(row.stored.run)) continue;
        this.#use(row.stored.run);
        chosen.push(row);
      }
      if (found.length < wanted) break;
      if (chosen.length - before < found.length) await this.#passFull(PATIENCE);
    }
    return chosen;
  }

  /**
   * Looks at due runs, without a lock, up to a step in which one may be taken. Keys that are full on the way are
   * passed over from then on, by the server: behind thousands of them a few looks are enough.
   */
  async #passFull(firstStep: number): Promise<boolean> {
    for (let step = firstStep; ; step = Math.min(LARGEST_STEP, Math.max(step * 4, PATIENCE))) {
      const rows = await this.#selectDue(candidates, step);
      const found = rows.map(candidateOf);
      await this.#countSlots(found);
      // Each of them: one that may not be taken tells of a key.
      if (found.filter((run) => this.#mayTake(run)).length > 0) return true;
      if (found.length < step) return false;
    }
  }

  /**
   * When this caller could claim more, after it took runs that were like `before` and are now like `runs`.
   *
   * The probe has told most of it: what is due since then comes with a hint of its own, as it does after a claim. Runs
   * that were counted and not taken may be somebody else's by now; the next claim finds out.
   */
  async nextDue(before: readonly Due[], runs: readonly RunRecord[]): Promise<number | null> {
    if (await this.#isMore(before)) return this.#now;
    const next = Math.min(
      await this.#nextTime(before),
      await this.#nextSlot(),
      ...runs.map(({ leaseUntil }) => leaseUntil ?? NEVER),
    );
    return next === NEVER ? null : Math.max(this.#now, next);
  }

  async #isMore(before: readonly Due[]): Promise<boolean> {
    const { waiting, suspects, isAll, now } = this.#known;
    const left = waiting - before.filter(({ dueAt }) => (dueAt ?? NEVER) <= now).length;
    if (left <= 0 && isAll) return false;
    const { limits } = this.#request;
    const isFree = Object.keys(limits).length === 0 && suspects <= this.#request.suspects;
    // The first one will do, unless it may not be taken.
    return (left > 0 && isFree) || this.#passFull(1);
  }

  async #nextTime(before: readonly Due[]): Promise<number> {
    const next = this.#known.nextDue ?? NEVER;
    // It may be that of a run which was taken before its time.
    if (!before.some(({ dueAt }) => dueAt === next)) return next;
    const { schema } = this.#context;
    const [due] = await this.#session.query(
      `with recursive ${ranks(schema)} select ${nextDue(schema, "$1::bigint")}::text`,
      [String(this.#now), arrayText(this.#request.jobIds)],
    );
    return instantOf(due);
  }

  /** When a slot of a full key is free for certain. */
  async #nextSlot(): Promise<number> {
    if (this.#saturated.size === 0) return NEVER;
    const [released] = await this.#session.query(
      `select min(lease_until)::text from ${this.#context.schema}.runs where lease_until > $1::bigint and limit_keys && $2::text[]`,
      [String(this.#now), arrayText([...this.#saturated])],
    );
    return instantOf(released);
  }

  /** Locked; none, if a first try of this claim was committed before this statement. */
  #selectToTake(limit: number): Promise<readonly Row[]> {
    const { claimId, only } = this.#request;
    const isHeld = `select from ${this.#context.schema}.runs c where c.claim_id = $8 and c.lease_until > $1::bigint`;
    const take: Look = {
      columns: runColumns,
      also: `and not (select exists (${isHeld}))`,
      lock: "for no key update of r skip locked",
      parameters: [claimId],
    };
    return only === undefined ? this.#selectDue(take, limit) : this.#selectNamed(only, take, limit);
  }

  /** First among the runs that are due the longest, of whatever job; behind a backlog of others by way of the jobs. */
  async #selectDue(look: Look, limit: number): Promise<readonly Row[]> {
    const { schema } = this.#context;
    const { columns, also, lock } = look;
    const looked = limit + PATIENCE + this.#seen.size;
    const atMost = (place: number) => `limit ${unknown(`$${place}`)}`;
    const due = isDueIn("x", "$1::bigint");
    const inOrder = "order by x.due_at, x.rk";
    const longest = `select x.rk, x.due_at from ${schema}.runs x where ${due} ${inOrder} ${atMost(7)}`;
    const beyond = `(select from ${schema}.runs x where ${due} ${inOrder} offset ${unknown("$7")} limit 1) as beyond`;
    const ofJobs =
      `select x.rk, x.due_at from unnest($2::text[]) as j(id) cross join lateral (${firstOfJob(schema, "$1::bigint", { also: mayPass("x"), limit: "$6" })}) as x ` +
      `${inOrder} ${atMost(6)}`;
    const taken = (head: string) =>
      `cross join lateral (select ${columns} from (${head}) as head join ${schema}.runs r on r.rk = head.rk ` +
      `where r.due_at <= $1::bigint and ${isWanted("r")} ${also} order by head.due_at, head.rk ${atMost(6)} ${lock}) as found ${atMost(6)}`;
    const parameters = [...this.#filter, String(limit), String(looked), ...look.parameters];
    const rows = await this.#session.query(
      `with recursive ${ranks(schema)} select found.* from ranks ${taken(longest)}`,
      parameters,
    );
    if (rows.length === limit || this.#known.isAll) return rows;
    const others = await this.#session.query(
      `with recursive ${ranks(schema)} select found.* from ranks cross join lateral ${beyond} ${taken(ofJobs)}`,
      parameters,
    );
    return others.length > rows.length ? others : rows;
  }

  #selectNamed(
    only: readonly string[],
    { columns, also, lock, parameters }: Look,
    limit: number,
  ): Promise<readonly Row[]> {
    const { schema } = this.#context;
    return this.#session.query(
      `select ${columns} from ${schema}.runs r where r.due_at is not null and (r.lease_until is null or r.lease_until <= $1::bigint) ` +
        `and r.id = any($7::text[]) and ${isWanted("r")} ${also} order by r.rank, r.due_at, r.rk limit $6::bigint ${lock}`,
      [...this.#filter, String(limit), arrayText(only), ...parameters],
    );
  }

  get #filter() {
    return [
      String(this.#now),
      arrayText(this.#request.jobIds),
      String(stallsBelow(this.#suspects)),
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

/** Whether the run of this alias is of a known job, and was not passed over. */
function isWanted(run: string): string {
  return `${run}.job_id = any($2::text[]) and ${mayPass(run)}`;
}

function mayPass(run: string): string {
  return (
    `${run}.stalls < $3::bigint and not (${run}.rk = any($4::bigint[])) ` +
    // The full keys are hashed once; as an operator of arrays or a join each would be compared with each.
    `and (${run}.limit_keys is null or not (select bool_or(k.key in (select unnest($5::text[]))) from unnest(${run}.limit_keys) as k(key)))`
  );
}

/** What is asked of the runs that are found. */
interface Look {
  readonly columns: string;
  /** A further condition. */
  readonly also: string;
  readonly lock: string;
  /** From $8 on. */
  readonly parameters: readonly Parameter[];
}

const candidates: Look = {
  columns: "array_to_json(r.limit_keys)::text, r.stalls::text",
  also: "",
  lock: "",
  parameters: [],
};

function candidateOf(row: Row): Candidate {
  const read = new RowReader(row);
  return { limitKeys: read.strings(), stalls: read.number() };
}

function instantOf(row: Row | undefined): number {
  const text = row?.[0] ?? null;
  return text === null ? NEVER : Number(text);
}
