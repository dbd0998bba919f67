import type { StoredStatus } from "../../core/run-status.js";
import type { Database } from "./database.js";
import { headColumns, headOf, type RunHead } from "./run-row.js";
import type { StoreClock } from "./store-clock.js";
import { RowReader } from "./text.js";
import type { TransactionState } from "./write-queue.js";

/** All that a commit of task records reads of its run. */
export interface RunGuardRow {
  readonly rk: number;
  readonly epoch: number;
  readonly status: StoredStatus;
  readonly inbox: number;
  readonly leaseUntil: number | null;
}

const selectGuard = "select rk, epoch, status, inbox, lease_until from pawl_runs where id = ?";
const selectHead = `select ${headColumns} from pawl_runs where id = ?`;

/**
 * What the elements of one transaction share. Nobody else writes while it is
 * open, so a run that was read is known until the end; who changes a row in
 * another way than through its head must `forget` it.
 */
export class Transaction implements TransactionState {
  readonly database: Database;
  readonly #clock: StoreClock;
  readonly #guards = new Map<string, RunGuardRow>();
  readonly #heads = new Map<string, RunHead>();
  #now: number | undefined;
  #leased = false;

  constructor(database: Database, clock: StoreClock) {
    this.database = database;
    this.#clock = clock;
  }

  begin(): void {
    this.forget();
    this.#now = undefined;
    this.#leased = false;
  }

  beforeCommit(): void {
    if (this.#leased) this.#clock.mark(this.now);
  }

  /** One instant for all elements. Read late: commits of task records do without. */
  get now(): number {
    this.#now ??= this.#clock.now();
    return this.#now;
  }

  /** A lease was given: its instant goes into the file with it (contract E13). */
  noteLease(): void {
    this.#leased = true;
  }

  guard(runId: string): RunGuardRow | undefined {
    const known = this.#heads.get(runId) ?? this.#guards.get(runId);
    if (known !== undefined) return known;
    const row = this.database.get(selectGuard, [runId]);
    if (row === undefined) return undefined;
    const read = new RowReader(row);
    const guard = {
      rk: read.number(),
      epoch: read.number(),
      status: read.string() as StoredStatus,
      inbox: read.number(),
      leaseUntil: read.numberOrNull(),
    };
    this.#guards.set(runId, guard);
    return guard;
  }

  head(runId: string): RunHead | undefined {
    const known = this.#heads.get(runId);
    if (known !== undefined) return known;
    const row = this.database.get(selectHead, [runId]);
    if (row === undefined) return undefined;
    const head = headOf(row);
    this.#heads.set(runId, head);
    return head;
  }

  forget(): void {
    this.#guards.clear();
    this.#heads.clear();
  }
}
