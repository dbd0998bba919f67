import type { TaskWrite } from "../../core/storage.js";
import {
  insertPlainTask,
  insertTask,
  isPlain,
  plainTaskValues,
  replaceTask,
  taskValues,
} from "./task-row.js";
import { RowReader } from "./text.js";
import type { Transaction } from "./transaction.js";

/** `repeated`: this very write is there already. */
export type TaskOutcome = "written" | "repeated" | { readonly reason: string };

/** Writes task records; a completed one never changes (contract S3, S5). */
export class TaskWriter {
  readonly #transaction: Transaction;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  /** One statement in the common case; looks for the reason only if nothing was written. */
  write(rk: number, runId: string, task: TaskWrite, writeId: string): TaskOutcome {
    const { database } = this.#transaction;
    const { replaces } = task;
    if (replaces !== undefined) return this.#replace(rk, runId, task, replaces, writeId);
    const { paths } = this.#transaction;
    if (paths.has(runId, rk, task.path)) return this.#whyNot(rk, runId, task, writeId);
    const changed = isPlain(task)
      ? database.run(insertPlainTask, plainTaskValues(rk, task, writeId))
      : database.run(insertTask, taskValues(rk, task, writeId));
    if (changed === 0) return this.#whyNot(rk, runId, task, writeId);
    paths.add(runId, task.path, task.seq);
    if (task.topics !== undefined) this.#listen(rk, runId, task);
    return "written";
  }

  /** True if a record of this write is there. */
  isRepeat(rk: number, tasks: readonly TaskWrite[], writeId: string): boolean {
    return tasks.some(({ seq }) => this.#writeAt(rk, seq) === writeId);
  }

  #replace(
    rk: number,
    runId: string,
    task: TaskWrite,
    replaces: number,
    writeId: string,
  ): TaskOutcome {
    const { database } = this.#transaction;
    if (replaces >= task.seq) return this.#whyNot(rk, runId, task, writeId);
    const values = [...taskValues(rk, task, writeId), rk, replaces, task.path];
    if (database.run(replaceTask, values) === 0) return this.#whyNot(rk, runId, task, writeId);
    database.run("delete from pawl_topics where rk = ? and path = ?", [rk, task.path]);
    this.#transaction.paths.moved(runId, task.seq);
    this.#listen(rk, runId, task);
    return "written";
  }

  #listen(rk: number, runId: string, { status, topics, path, seq }: TaskWrite): void {
    if (status !== "WAITING") return;
    for (const topic of topics ?? []) {
      this.#transaction.database.run(
        "insert or ignore into pawl_topics (topic, run_id, path, rk, seq) values (?, ?, ?, ?, ?)",
        [topic, runId, path, rk, seq],
      );
    }
  }

  #writeAt(rk: number, seq: number): string | undefined {
    const row = this.#transaction.database.get(
      "select write_id from pawl_tasks where rk = ? and seq = ?",
      [rk, seq],
    );
    return row === undefined ? undefined : new RowReader(row).string();
  }

  #whyNot(rk: number, runId: string, task: TaskWrite, writeId: string): TaskOutcome {
    this.#transaction.paths.forget(runId);
    const present = this.#writeAt(rk, task.seq);
    if (present === writeId) return "repeated";
    if (present !== undefined) return { reason: `Seq ${task.seq} was written by another write.` };
    const row = this.#transaction.database.get(
      "select seq, status from pawl_tasks where rk = ? and path = ?",
      [rk, task.path],
    );
    if (row === undefined) {
      return {
        reason:
          task.replaces === undefined
            ? `Task ${task.path} lacks a value.`
            : `There is no record ${task.path} to replace.`,
      };
    }
    const read = new RowReader(row);
    const seq = read.number();
    return {
      reason: `Task ${task.path} is recorded with seq ${seq} as ${read.string()} and cannot be replaced by this write.`,
    };
  }
}
