import type { Io, Task } from "pawl";
import type { SqliteTransaction } from "pawl/sqlite";
import type { Scenario } from "./scenario.js";
import { oneRun } from "./scenarios-tasks.js";

const transaction = { transaction: true } as const;

/** A task's id begins with that of its run; a command that is repeated may make two. */
function runOf(task: Task): string {
  return task.id.slice(0, task.id.indexOf("/"));
}

function rows(task: Task, tx: SqliteTransaction): number {
  return tx.prepare("select run from sweep_rows where run = ?").all(runOf(task)).length;
}

/** How many rows there are is asked in a transaction of its own, and is the output. */
async function book(io: Io<SqliteTransaction>, key: string, fails = false): Promise<number> {
  await io.runTask(
    key,
    (task, _io, tx) => {
      tx.exec("create table if not exists sweep_rows (run text)");
      tx.prepare("insert into sweep_rows (run) values (?)").run(runOf(task));
      if (fails && task.attempt === 1) throw new Error("rolled back");
    },
    { ...transaction, retry: { limit: 2, minTimeoutInMs: 200, randomize: false } },
  );
  return io.runTask(`${key} count`, (task, _io, tx) => rows(task, tx), transaction);
}

/** On SQLite: what is written beside a record is there once, wherever a call is cut. */
export const transactionScenarios: readonly Scenario[] = [
  oneRun(
    "transactional tasks",
    async (io, p) => {
      const tx = io as Io<SqliteTransaction>;
      const counts = [await book(tx, "first"), await book(tx, "again", true)];
      await p.task(io, "plain", () => 1);
      await io.wait("pause", "10s");
      return [...counts, await book(tx, "last")];
    },
    {
      check: (end) => {
        end.count("job", 1);
        end.all("job", "COMPLETED", [1, 2, 3]);
      },
    },
  ),
];
