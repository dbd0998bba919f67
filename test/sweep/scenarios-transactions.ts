import type { Io, Task } from "pawl";
import type { SqliteTransaction } from "pawl/sqlite";
import type { Scenario } from "./scenario.js";
import { oneRun } from "./scenarios-tasks.js";

const transaction = { transaction: true } as const;

/** Rows of the application's own, by the run that wrote them. */
export interface UserRows<Tx> {
  /** @param then the end of the callback, which may throw */
  insert(tx: Tx, run: string, then: () => void): void | Promise<void>;
  count(tx: Tx, run: string): number | Promise<number>;
}

export const sqliteRows: UserRows<SqliteTransaction> = {
  insert: (tx, run, then) => {
    tx.exec("create table if not exists sweep_rows (run text)");
    tx.prepare("insert into sweep_rows (run) values (?)").run(run);
    then();
  },
  count: (tx, run) => tx.prepare("select run from sweep_rows where run = ?").all(run).length,
};

/** A task's id begins with that of its run; a command that is repeated may make two. */
function runOf(task: Task): string {
  return task.id.slice(0, task.id.indexOf("/"));
}

/** How many rows there are is asked in a transaction of its own, and is the output. */
async function book<Tx>(
  io: Io<Tx>,
  rows: UserRows<Tx>,
  { key, fails = false }: { readonly key: string; readonly fails?: boolean },
): Promise<number> {
  await io.runTask(
    key,
    (task, _io, tx) =>
      rows.insert(tx, runOf(task), () => {
        if (fails && task.attempt === 1) throw new Error("rolled back");
      }),
    { ...transaction, retry: { limit: 2, minTimeoutInMs: 200, randomize: false } },
  );
  return io.runTask(`${key} count`, (task, _io, tx) => rows.count(tx, runOf(task)), transaction);
}

/** What is written beside a record is there once, wherever a call is cut. */
export function transactionScenarios<Tx>(rows: UserRows<Tx>): readonly Scenario[] {
  return [
    oneRun(
      "transactional tasks",
      async (io, p) => {
        const tx = io as Io<Tx>;
        const counts = [
          await book(tx, rows, { key: "first" }),
          await book(tx, rows, { key: "again", fails: true }),
        ];
        await p.task(io, "plain", () => 1);
        await io.wait("pause", "10s");
        return [...counts, await book(tx, rows, { key: "last" })];
      },
      {
        check: (end) => {
          end.count("job", 1);
          end.all("job", "COMPLETED", [1, 2, 3]);
        },
      },
    ),
  ];
}
