import type {
  ClaimedRun,
  ClaimRequest,
  ClaimResult,
  RunRecord,
  Signal,
} from "../../core/storage.js";
import { ClaimScan } from "./claim-scan.js";
import { isInternal, rankOf } from "./rank.js";
import type { RunReader } from "./reader.js";
import { recordColumns, recordOf } from "./run-row.js";
import { firstNumber, RowReader } from "./text.js";
import type { Transaction } from "./transaction.js";

const selectClaimed =
  "select rk from pawl_runs where claim_id = ? and worker_id = ? and lease_until > ? order by rank, due_at, rk";

const selectTaken = `select ${recordColumns}, kept_by from pawl_runs where rk = ?`;

const updateTaken =
  "update pawl_runs set epoch = ?, status = 'EXECUTING', worker_id = ?, lease_until = ?, due_at = ?, rank = ?, " +
  "started_at = ?, deadline_at = ?, execution_count = ?, stalls = ?, last_seq = ?, kept_by = null, claim_id = ? where rk = ?";

/** Gives due runs to workers (contract S6, S7, S8, S10, S11). */
export class Claimer {
  readonly #transaction: Transaction;
  readonly #reader: RunReader;

  constructor(transaction: Transaction, reader: RunReader) {
    this.#transaction = transaction;
    this.#reader = reader;
  }

  /** Outside of a transaction. Answers if there is nothing to take, so that a worker at rest takes no lock. */
  whenIdle(request: ClaimRequest): ClaimResult | undefined {
    this.#transaction.begin();
    const { database, now } = this.#transaction;
    if (this.#claimedBefore(request).length > 0) return undefined;
    const scan = new ClaimScan(database, request, now);
    if (request.only !== undefined && scan.named(request.only, 1).length > 0) return undefined;
    const due = scan.due(1);
    if (due.length > 0 && request.only === undefined && request.limit > 0) return undefined;
    return {
      now,
      runs: [],
      nextDue: due.length > 0 ? now : scan.nextDue(),
      overdue: this.#overdue(),
    };
  }

  claim(request: ClaimRequest): ClaimResult {
    const { database, now } = this.#transaction;
    const scan = new ClaimScan(database, request, now);
    const answer = (runs: readonly ClaimedRun[], more: boolean): ClaimResult => ({
      now,
      runs,
      nextDue: more ? now : scan.nextDue(),
      overdue: this.#overdue(),
    });
    const budget = { bytes: request.taskBudget };
    const before = this.#claimedBefore(request);
    if (before.length > 0) {
      return answer(
        before.map((rk) => this.#describe(rk, this.#record(rk).run, false, budget)),
        scan.due(1).length > 0,
      );
    }
    const named = request.only === undefined ? undefined : scan.named(request.only, request.limit);
    const candidates = named ?? scan.due(request.limit + 1);
    const runs = candidates
      .slice(0, request.limit)
      .map(({ rk }) => this.#take(rk, request, budget));
    this.#transaction.forget();
    return answer(
      runs,
      named === undefined ? candidates.length > request.limit : scan.due(1).length > 0,
    );
  }

  #claimedBefore({ claimId, workerId }: ClaimRequest): number[] {
    const { database, now } = this.#transaction;
    return database
      .all(selectClaimed, [claimId, workerId, now])
      .map((row) => firstNumber(row) ?? 0);
  }

  /** Of any job: whoever comes along ends them. */
  #overdue(): string[] {
    const { database, now } = this.#transaction;
    const rows = database.all(
      "select id from pawl_runs where deadline_at <= ? order by deadline_at limit 100",
      [now],
    );
    return rows.map((row) => new RowReader(row).string());
  }

  #record(rk: number): { run: RunRecord; keptBy: string | null } {
    const row = this.#transaction.database.get(selectTaken, [rk]) ?? [];
    return { run: recordOf(row), keptBy: new RowReader(row, row.length - 1).stringOrNull() };
  }

  #take(rk: number, request: ClaimRequest, budget: { bytes: number }): ClaimedRun {
    const { database, now } = this.#transaction;
    const { run, keptBy } = this.#record(rk);
    const kept = keptBy === request.workerId;
    const leaseUntil = now + request.leaseMs;
    const started = run.startedAt !== null;
    const newDeadline = run.maxDurationMs === null ? null : now + run.maxDurationMs;
    const taken: RunRecord = {
      ...run,
      ...(run.leaseUntil === null ? {} : this.#stallsOf(rk, run)),
      status: "EXECUTING",
      epoch: run.epoch + 1,
      workerId: request.workerId,
      leaseUntil,
      dueAt: leaseUntil,
      startedAt: run.startedAt ?? now,
      deadlineAt: started ? run.deadlineAt : newDeadline,
      executionCount: run.executionCount + (kept ? 0 : 1),
    };
    const rank = rankOf({ internal: isInternal(run.jobId), priority: run.priority, started: true });
    const { epoch, startedAt, deadlineAt, executionCount, stalls, lastSeq, workerId } = taken;
    database.run(updateTaken, [
      epoch,
      workerId,
      leaseUntil,
      leaseUntil,
      rank,
      startedAt,
      deadlineAt,
      executionCount,
      stalls,
      lastSeq,
      request.claimId,
      rk,
    ]);
    this.#transaction.noteLease();
    if (!started)
      return {
        run: taken,
        signals: this.#signals(rk, run),
        tasks: [],
        tasksComplete: true,
        kept,
        logCounts: {},
      };
    return this.#describe(rk, taken, kept, budget);
  }

  /** The last holder did not come back: has it recorded anything (contract E10)? */
  #stallsOf(rk: number, run: RunRecord): { stalls: number; lastSeq: number } {
    const { database } = this.#transaction;
    const highest =
      firstNumber(database.get("select max(seq) from pawl_tasks where rk = ?", [rk])) ?? 0;
    return { stalls: highest > run.lastSeq ? 0 : run.stalls + 1, lastSeq: highest };
  }

  #describe(rk: number, run: RunRecord, kept: boolean, budget: { bytes: number }): ClaimedRun {
    const signals = this.#signals(rk, run);
    if (kept) return { run, signals, tasks: [], tasksComplete: true, kept, logCounts: {} };
    const { tasks, complete } = this.#reader.tasks(rk, 0, Math.max(0, budget.bytes), 0);
    for (const task of tasks) budget.bytes -= 100 + (task.output?.length ?? 0);
    return {
      run,
      signals,
      tasks,
      tasksComplete: complete,
      kept,
      logCounts: this.#reader.logCounts(rk),
    };
  }

  #signals(rk: number, { inbox }: RunRecord): Signal[] {
    return inbox === 0 ? [] : this.#reader.signals(rk);
  }
}
