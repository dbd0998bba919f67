import type { StoredStatus } from "../../core/run-status.js";
import type { Database } from "./database.js";
import type { LockManners } from "./lock-manners.js";
import { RecordedPaths } from "./recorded-paths.js";
import { headColumns, headOf, type RunHead } from "./run-row.js";
import type { StoreClock } from "./store-clock.js";
import { firstNumber, RowReader } from "./text.js";

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

/** Runs are kept until this many are known; then all are read anew. */
const MOST_KNOWN = 10_000;

/**
 * A write transaction, and what is known of runs. Nobody else writes while it
 * is open, and the data version tells at its start whether another connection
 * has written since the last one. If not, all runs are still as they were left,
 * so in a process that has the file to itself a task record takes no read.
 * Who changes a run in another way than through its head must `forget` it.
 */
export class Transaction {
  readonly database: Database;
  readonly paths: RecordedPaths;
  readonly #clock: StoreClock;
  readonly #manners: LockManners;
  readonly #guards = new Map<string, RunGuardRow>();
  readonly #heads = new Map<string, RunHead>();
  #version: number | undefined;
  #now: number | undefined;
  #creationTime: number | undefined;
  #leased = false;

  constructor(database: Database, clock: StoreClock, manners: LockManners) {
    this.database = database;
    this.paths = new RecordedPaths(database);
    this.#clock = clock;
    this.#manners = manners;
  }

  begin(): void {
    this.database.begin();
    try {
      this.#checkKnown();
    } catch (error) {
      this.rollback();
      throw error;
    }
    this.paths.begin();
    this.#now = undefined;
    this.#creationTime = undefined;
    this.#leased = false;
  }

  commit(): void {
    if (this.#leased) this.#clock.mark(this.now);
    this.database.commit();
    this.paths.end(true);
  }

  rollback(): void {
    this.forgetAll();
    this.paths.end(false);
    this.database.rollback();
  }

  /** One instant for all elements. Read late: commits of task records do without. */
  get now(): number {
    this.#now ??= this.#clock.now();
    return this.#now;
  }

  /**
   * Newest first is by row number, so instants of creation must rise with it,
   * also when the wall clocks of two processes differ.
   */
  creationTime(): number {
    if (this.#creationTime === undefined) {
      const latest = firstNumber(
        this.database.get("select created_at from pawl_runs order by rk desc limit 1"),
      );
      this.#creationTime = Math.max(this.now, latest ?? 0);
    }
    return this.#creationTime;
  }

  /** A lease was given: its instant goes into the file with it (contract E13). */
  noteLease(): void {
    this.#leased = true;
  }

  guard(runId: string): RunGuardRow | undefined {
    const known = this.known(runId);
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

  /** As it was at the last look, which may be long ago. */
  known(runId: string): RunGuardRow | undefined {
    return this.#heads.get(runId) ?? this.#guards.get(runId);
  }

  head(runId: string): RunHead | undefined {
    const known = this.#heads.get(runId);
    if (known !== undefined) return known;
    const row = this.database.get(selectHead, [runId]);
    if (row === undefined) return undefined;
    const head = headOf(row);
    this.know(head);
    return head;
  }

  /** What the caller has just written. */
  know(head: RunHead): void {
    this.#guards.delete(head.id);
    this.#heads.set(head.id, head);
  }

  forget(runId: string): void {
    this.#guards.delete(runId);
    this.#heads.delete(runId);
  }

  forgetAll(): void {
    this.#guards.clear();
    this.#heads.clear();
  }

  #checkKnown(): void {
    const version = this.#manners.look();
    const tooMany = this.#guards.size + this.#heads.size > MOST_KNOWN;
    if (version !== this.#version) this.paths.othersWrote();
    if (version !== this.#version || tooMany) this.forgetAll();
    this.#version = version;
  }
}
