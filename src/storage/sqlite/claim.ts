import { isInternal } from "../../core/final.js";
import type {
  ClaimedRun,
  ClaimRequest,
  ClaimResult,
  RunRecord,
  Signal,
} from "../../core/storage.js";
import { claimedRecord } from "../../core/stored-run.js";
import { ClaimScan } from "./claim-scan.js";
import type { Database } from "./database.js";
import { JobLists } from "./job-lists.js";
import { rankOf } from "./rank.js";
import type { RunReader } from "./reader.js";
import { headOfLeased, recordJson, recordOf } from "./run-row.js";
import type { StoreClock } from "./store-clock.js";
import { taskBytes } from "./task-row.js";
import { firstNumber, numberOf, RowReader } from "./text.js";
import type { Transaction } from "./transaction.js";

const selectClaimed =
  "select rk from pawl_runs where claim_id = ? and worker_id = ? and lease_until > ? order by rank, due_at, rk";

const selectOverdue =
  "select id from pawl_runs where deadline_at <= ? order by deadline_at limit 100";
const selectNextDeadline =
  "select deadline_at from pawl_runs where deadline_at is not null order by deadline_at limit 1";

const selectTaken = `select ${recordJson}, kept_by, unread, write_id, side_write_id from pawl_runs where rk = ?`;

const updateTaken =
  "update pawl_runs set epoch = ?, status = 'EXECUTING', worker_id = ?, lease_until = ?, due_at = ?, rank = ?, " +
  "started_at = ?, deadline_at = ?, execution_count = ?, stalls = ?, last_seq = ?, kept_by = null, claim_id = ? where rk = ?";

/** For all runs of one claim. */
interface Details {
  /** What is left of `taskBudget`. */
  bytes: number;
  readonly logCounts: ReadonlyMap<number, ClaimedRun["logCounts"]>;
}

interface TakenRow {
  readonly run: RunRecord;
  readonly keptBy: string | null;
  readonly rest: {
    readonly unread: number;
    readonly writeId: string | null;
    readonly sideWriteId: string | null;
  };
}

/** Gives due runs to workers (contract S6, S7, S8, S11). */
export class Claimer {
  readonly #transaction: Transaction;
  readonly #database: Database;
  readonly #reader: RunReader;
  readonly #clock: StoreClock;
  readonly #lists: JobLists;
  /** Then the next claim probably finds some, too, and looking without the lock would be for nothing. */
  #foundSome = false;

  constructor(transaction: Transaction, reader: RunReader, clock: StoreClock) {
    this.#transaction = transaction;
    this.#database = transaction.database;
    this.#reader = reader;
    this.#clock = clock;
    this.#lists = new JobLists(transaction.database);
  }

  /** Answers if there is nothing to take, so that a worker at rest takes no lock. Outside of a transaction. */
  whenIdle(request: ClaimRequest): ClaimResult | undefined {
    if (this.#foundSome) return undefined;
    const now = this.#clock.now();
    if (this.#claimedBefore(request, now).length > 0) return undefined;
    const scan = new ClaimScan(this.#database, this.#lists, request, now);
    if (request.only !== undefined && scan.named(request.only, 1).length > 0) return undefined;
    const due = scan.due(1).length > 0;
    if (due && request.only === undefined && request.limit > 0) return undefined;
    return this.#answer([], scan, now, due);
  }

  claim(request: ClaimRequest): ClaimResult {
    const { now } = this.#transaction;
    const scan = new ClaimScan(this.#database, this.#lists, request, now);
    const before = this.#claimedBefore(request, now);
    if (before.length > 0) {
      const details = this.#detailsOf(before, request);
      const held = before.map((rk) => this.#describe(rk, this.#record(rk).run, details));
      return this.#answer(held, scan, now, scan.due(1).length > 0);
    }
    const named = request.only === undefined ? undefined : scan.named(request.only, request.limit);
    // One more than asked for tells whether the limit cuts anything off.
    const candidates = named ?? scan.due(request.limit + 1);
    const chosen = candidates.slice(0, request.limit);
    const details = this.#detailsOf(chosen, request);
    const runs = chosen.map((rk) => this.#take(rk, request, details));
    const more = named === undefined ? candidates.length > request.limit : scan.due(1).length > 0;
    return this.#answer(runs, scan, now, more);
  }

  #answer(runs: readonly ClaimedRun[], scan: ClaimScan, now: number, more: boolean): ClaimResult {
    this.#foundSome = runs.length > 0;
    const overdue = this.#database
      .all(selectOverdue, [now])
      .map((row) => new RowReader(row).string());
    const nextDeadline = this.#database
      .all(selectNextDeadline, [])
      .map((row) => new RowReader(row).numberOrNull());
    return {
      now,
      runs,
      nextDue: more ? now : scan.nextDue(),
      overdue,
      nextDeadline: nextDeadline[0] ?? null,
    };
  }

  #detailsOf(rks: readonly number[], { taskBudget }: ClaimRequest): Details {
    return { bytes: taskBudget, logCounts: this.#reader.logCounts(rks) };
  }

  #claimedBefore({ claimId, workerId }: ClaimRequest, now: number): number[] {
    return this.#database.all(selectClaimed, [claimId, workerId, now]).map((row) => numberOf(row));
  }

  #record(rk: number): TakenRow {
    const read = new RowReader(this.#database.get(selectTaken, [rk]) ?? []);
    const run = recordOf(read.string());
    const keptBy = read.stringOrNull();
    const rest = {
      unread: read.number(),
      writeId: read.stringOrNull(),
      sideWriteId: read.stringOrNull(),
    };
    return { run, keptBy, rest };
  }

  #take(rk: number, request: ClaimRequest, details: Details): ClaimedRun {
    const { now } = this.#transaction;
    const row = this.#record(rk);
    const { run } = row;
    const kept = row.keptBy === request.workerId;
    const started = run.startedAt !== null || run.lastSeq > 0;
    const highestSeq = run.leaseUntil === null ? 0 : this.#highestSeq(rk);
    const { workerId, leaseMs } = request;
    const taken = claimedRecord(run, { workerId, leaseMs, kept, highestSeq }, now);
    this.#write(rk, taken, request.claimId, row.rest);
    if (!started) this.#transaction.paths.startsEmpty(taken.id, rk);
    if (started && !kept) return this.#describe(rk, taken, details);
    return {
      run: taken,
      signals: this.#signals(rk, taken),
      tasks: [],
      tasksComplete: true,
      kept,
      logCounts: {},
    };
  }

  #write(rk: number, taken: RunRecord, claimId: string, rest: TakenRow["rest"]): void {
    const { epoch, workerId, leaseUntil, startedAt, deadlineAt, executionCount, stalls, lastSeq } =
      taken;
    const rank = rankOf({
      internal: isInternal(taken.jobId),
      priority: taken.priority,
      started: true,
    });
    const lease = [epoch, workerId, leaseUntil, leaseUntil, rank];
    const counts = [startedAt, deadlineAt, executionCount, stalls, lastSeq];
    this.#database.run(updateTaken, [...lease, ...counts, claimId, rk]);
    this.#transaction.know(headOfLeased(rk, taken, { rank, ...rest }));
    this.#transaction.noteLease();
  }

  #highestSeq(rk: number): number {
    return (
      firstNumber(this.#database.get("select max(seq) from pawl_tasks where rk = ?", [rk])) ?? 0
    );
  }

  #describe(rk: number, run: RunRecord, details: Details): ClaimedRun {
    const { tasks, complete } = this.#reader.tasks(rk, 0, Math.max(0, details.bytes), 0);
    for (const task of tasks) details.bytes -= taskBytes(task);
    return {
      run,
      signals: this.#signals(rk, run),
      tasks,
      tasksComplete: complete,
      kept: false,
      logCounts: details.logCounts.get(rk) ?? {},
    };
  }

  #signals(rk: number, { inbox }: RunRecord): Signal[] {
    return inbox === 0 ? [] : this.#reader.signals(rk);
  }
}
