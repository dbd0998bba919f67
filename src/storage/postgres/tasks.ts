import type { StoredTask } from "../../core/run-tables.js";
import type { KnownOfWrite } from "../../core/write-verdict.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";
import { tasksMet, type WriteOfRow } from "./met-tasks.js";
import { insertTasks, taskParameters } from "./task-row.js";

interface KnownTask {
  readonly stored: StoredTask | undefined;
  readonly now: StoredTask;
}

interface TasksOfRun {
  readonly paths: Map<string, KnownTask>;
  readonly seqs: Set<number>;
}

/** The task records that a batch of writes meets, and what becomes of them. */
export class Tasks {
  readonly #runs = new Map<string, TasksOfRun>();

  static async of(
    context: Context,
    session: Session,
    writes: readonly WriteOfRow[],
  ): Promise<Tasks> {
    const tasks = new Tasks();
    for (const { rk, task } of await tasksMet(context, session, writes)) {
      const { paths, seqs } = tasks.#run(rk);
      paths.set(task.path, { stored: task, now: task });
      seqs.add(task.seq);
    }
    return tasks;
  }

  of(rk: string): KnownOfWrite["tasks"] {
    const { paths, seqs } = this.#run(rk);
    return { get: (path) => paths.get(path)?.now, hasSeq: (seq) => seqs.has(seq) };
  }

  put(rk: string, task: StoredTask): void {
    const { paths, seqs } = this.#run(rk);
    const known = paths.get(task.path);
    if (known !== undefined) seqs.delete(known.now.seq);
    paths.set(task.path, { stored: known?.stored, now: task });
    seqs.add(task.seq);
  }

  async store({ schema }: Context, session: Session): Promise<void> {
    const changed = [...this.#runs].flatMap(([rk, { paths }]) =>
      [...paths.values()]
        .filter(({ stored, now }) => stored !== now)
        .map(({ stored, now }) => ({ rk, stored, now })),
    );
    const replaced = changed.flatMap(({ rk, stored }) =>
      stored === undefined ? [] : [{ rk, seq: stored.seq }],
    );
    if (replaced.length > 0) {
      await session.query(
        `delete from ${schema}.tasks t where (t.rk, t.seq) in (select * from unnest($1::bigint[], $2::integer[]))`,
        [arrayText(replaced.map(({ rk }) => rk)), arrayText(replaced.map(({ seq }) => seq))],
      );
    }
    const added = changed.map(({ rk, now }) => ({ rk, task: now }));
    if (added.length > 0) await session.query(insertTasks(schema), taskParameters(added));
  }

  #run(rk: string): TasksOfRun {
    const known = this.#runs.get(rk) ?? { paths: new Map(), seqs: new Set() };
    this.#runs.set(rk, known);
    return known;
  }
}
