import type { CommitOutcome, CommitResult, LogLine, RunWrite } from "../../core/storage.js";
import {
  changesRun,
  guardOutcome,
  hasRecordsOnly,
  writeRefusal,
} from "../../core/write-verdict.js";
import type { RunCreator } from "./create.js";
import type { SqlValue } from "./driver.js";
import { Effects } from "./effects.js";
import { Refusal, reasonOf } from "./failure.js";
import { planChange } from "./run-change.js";
import { deleteTags, insertTag } from "./run-insert.js";
import type { RunHead } from "./run-row.js";
import { insertLoneTask, isPlain, loneTaskValues } from "./task-row.js";
import { type TaskOutcome, TaskWriter } from "./task-writer.js";
import { packText, packTextOrNull } from "./text.js";
import type { RunGuardRow, Transaction } from "./transaction.js";
import type { ValueStore } from "./values.js";

/** The guarded write (contract S1 to S5, S12). */
export class Committer {
  readonly #transaction: Transaction;
  readonly #creator: RunCreator;
  readonly #values: ValueStore;
  readonly #tasks: TaskWriter;
  readonly #effects: Effects;

  constructor(transaction: Transaction, creator: RunCreator, values: ValueStore) {
    this.#transaction = transaction;
    this.#creator = creator;
    this.#values = values;
    this.#tasks = new TaskWriter(transaction);
    this.#effects = new Effects(transaction);
  }

  apply(write: RunWrite): CommitResult {
    return hasRecordsOnly(write) ? this.#applyRecords(write) : this.#applyAll(write);
  }

  /**
   * One record of one run, in a statement that commits by itself: a lonely task
   * pays for no transaction around it. Undefined if this is no such write, or
   * if the run is not as it was last seen; nothing is written then.
   */
  applyAlone(write: RunWrite): CommitResult | undefined {
    const { runId, writeId, tasks } = write;
    const task = tasks?.[0];
    if (task === undefined || tasks?.length !== 1 || write.logs !== undefined) return undefined;
    if (!hasRecordsOnly(write) || task.replaces !== undefined || !isPlain(task)) return undefined;
    const { database, paths } = this.#transaction;
    const guard = this.#transaction.known(runId);
    if (guard?.status !== "EXECUTING" || guardOutcome(write, guard) !== undefined) return undefined;
    if (!paths.isFreeAt(runId, guard.rk, task.path, task.seq)) return undefined;
    const values = loneTaskValues(guard, runId, task, writeId);
    try {
      if (database.runAlone(insertLoneTask, values) !== 1) return undefined;
    } catch (error) {
      // It may be durable all the same.
      paths.forget(runId);
      throw error;
    }
    paths.add(runId, task.path, task.seq);
    return answer("ok", guard);
  }

  refused(write: RunWrite, cause: unknown): CommitResult {
    this.#transaction.forget(write.runId);
    const guard = this.#transaction.guard(write.runId);
    this.#transaction.forget(write.runId);
    return {
      ...(guard === undefined ? missing : answer("rejected", guard)),
      result: "rejected",
      reason: reasonOf(cause),
      cause,
    };
  }

  #applyRecords(write: RunWrite): CommitResult {
    const guard = this.#transaction.guard(write.runId);
    if (guard === undefined) return missing;
    const verdict = guardOutcome(write, guard);
    if (verdict !== undefined) {
      this.#transaction.paths.forget(write.runId);
      return answer(this.#hasRecordOf(write, guard.rk) ? "ok" : verdict, guard);
    }
    const outcome = this.#writeTasks(write, guard.rk);
    if (typeof outcome === "object") {
      return { ...answer("rejected", guard), reason: outcome.reason };
    }
    if (outcome === "written") this.#writeLogs(write.logs, guard.rk, guard.epoch);
    return answer("ok", guard);
  }

  #applyAll(write: RunWrite): CommitResult {
    const head = this.#transaction.head(write.runId);
    if (head === undefined) return missing;
    const { writeId } = write;
    if (writeId === head.writeId || writeId === head.sideWriteId) return answer("ok", head);
    const verdict = guardOutcome(write, head) ?? this.#conflict(write);
    const objection = verdict === undefined ? writeRefusal(write, head) : undefined;
    if (verdict !== undefined || objection !== undefined) {
      this.#transaction.paths.forget(write.runId);
      if (this.#hasRecordOf(write, head.rk)) return answer("ok", head);
      if (verdict !== undefined) return answer(verdict, head);
      return { ...answer("rejected", head), reason: objection ?? "" };
    }
    return this.#everything(write, head);
  }

  #conflict({ values }: RunWrite): CommitOutcome | undefined {
    const moved = (values ?? []).some(
      ({ key, expected }) => expected !== undefined && this.#values.versionOf(key) !== expected,
    );
    return moved ? "conflict" : undefined;
  }

  #hasRecordOf({ tasks = [], writeId }: RunWrite, rk: number): boolean {
    return this.#tasks.isRepeat(rk, tasks, writeId);
  }

  /** What was written before a refusal can only be undone with the transaction. */
  #writeTasks({ runId, writeId, tasks = [] }: RunWrite, rk: number): TaskOutcome {
    let written = false;
    for (const task of tasks) {
      const outcome = this.#tasks.write(rk, runId, task, writeId);
      if (outcome !== "written") {
        if (!written) return outcome;
        throw new Refusal(
          outcome === "repeated" ? `Seq ${task.seq} is used twice.` : outcome.reason,
        );
      }
      written = true;
    }
    return "written";
  }

  #everything(write: RunWrite, head: RunHead): CommitResult {
    const { rk, id } = head;
    const outcome = this.#writeTasks(write, rk);
    if (outcome === "repeated") return answer("ok", head);
    if (typeof outcome === "object") return { ...answer("rejected", head), reason: outcome.reason };
    if (write.signalsRead !== undefined) this.#effects.markRead(head, write.signalsRead);
    const leaseRefused = this.#writeRun(write, head);
    this.#writeLogs(write.logs, rk, write.guard.epoch ?? head.epoch);
    for (const value of write.values ?? []) this.#values.write(value);
    for (const run of write.runs ?? []) this.#creator.createChild(run);
    for (const signal of write.signals ?? []) this.#effects.signal(signal);
    for (const watch of write.watches ?? []) this.#effects.watch(id, watch);
    // Nobody holds it any more: a run that waits for a year must not be kept in memory.
    if (head.leaseUntil === null) this.#transaction.forget(id);
    if (head.leaseUntil === null && write.release?.keep !== true)
      this.#transaction.paths.forget(id);
    return leaseRefused ? { ...answer("ok", head), leaseRefused } : answer("ok", head);
  }

  #writeRun(write: RunWrite, head: RunHead): boolean {
    const { database } = this.#transaction;
    const needsNow = changesRun(write) || write.leaseUntil !== undefined;
    const { columns, leaseRefused } = planChange(write, head, needsNow ? this.#transaction.now : 0);
    if (columns.has("lease_until") && head.leaseUntil !== null) this.#transaction.noteLease();
    if (write.run?.tags !== undefined) this.#writeTags(head.rk, write.run.tags);
    const changed = new Map<string, SqlValue>(columns);
    if (write.signalsRead !== undefined) changed.set("unread", head.unread);
    if (changed.size > 0) {
      const set = [...changed.keys()].map((column) => `${column} = ?`).join(", ");
      database.run(`update pawl_runs set ${set} where rk = ?`, [...changed.values(), head.rk]);
    }
    return leaseRefused;
  }

  /** Before the run row changes, which tells the old tags. */
  #writeTags(rk: number, tags: readonly string[]): void {
    const { database } = this.#transaction;
    deleteTags(database, rk);
    for (const tag of tags) insertTag(database, rk, tag);
  }

  #writeLogs(logs: readonly LogLine[] | undefined, rk: number, epoch: number): void {
    for (const { ordinal, at, stream, path, level, message, data } of logs ?? []) {
      this.#transaction.database.run(
        "insert or ignore into pawl_logs (rk, epoch, ordinal, at, stream, path, level, message, data) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [rk, epoch, ordinal, at, stream, path, level, packText(message), packTextOrNull(data)],
      );
    }
  }
}

const missing: CommitResult = {
  result: "missing",
  epoch: 0,
  status: "PENDING",
  inbox: 0,
  leaseUntil: null,
};

function answer(
  result: CommitOutcome,
  { epoch, status, inbox, leaseUntil }: RunGuardRow,
): CommitResult {
  return { result, epoch, status, inbox, leaseUntil };
}
