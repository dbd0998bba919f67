import { setTimeout as pause } from "node:timers/promises";
import { type AnyJob, defineJob, type Io, invokeTrigger, type Key } from "pawl";
import type { LedgerWriter } from "./ledger.js";

/** What a task returns: itself, and a value that no other execution of it returns. */
interface Mark {
  readonly taskId: string;
  readonly nonce: string;
}

const jobIds = ["chain", "fan", "family"] as const;
const tasksOf = { chain: 4, fan: 6, family: 6 };

/** The job of the n-th run that is asked for. */
export function jobOf(n: number): (typeof jobIds)[number] {
  return jobIds[n % jobIds.length] ?? "chain";
}

/** Tasks, those of children included, in the first `runs` runs. */
export function expectedTasks(runs: number): number {
  return Array.from({ length: runs }, (_, n) => tasksOf[jobOf(n)]).reduce((a, b) => a + b, 0);
}

/** Jobs of sequential, parallel, nested and failing tasks, waits and children. */
export function rigJobs(ledger: LedgerWriter): AnyJob[] {
  let executions = 0;

  async function step(io: Io, key: Key, failures = 0): Promise<string> {
    const mark = await io.runTask<Mark>(
      key,
      async (task) => {
        const nonce = `${process.pid}.${++executions}`;
        ledger.write("start", process.pid, task.id, task.attempt, nonce);
        await pause(30 + Math.random() * 90);
        ledger.write("end", process.pid, task.id, task.attempt, nonce);
        if (task.attempt <= failures) throw new Error("planned");
        return { taskId: task.id, nonce };
      },
      { retry: { limit: 3, minTimeoutInMs: 30 } },
    );
    ledger.write("seen", process.pid, mark.taskId, mark.nonce);
    return mark.nonce;
  }

  const chain = defineJob({
    id: "chain",
    trigger: invokeTrigger(),
    run: async (_, io) => {
      await step(io, "one");
      await io.wait("a-moment", "50ms");
      await step(io, "two", 1);
      await step(io, "three");
      return step(io, ["four", 4]);
    },
  });

  const fan = defineJob({
    id: "fan",
    trigger: invokeTrigger(),
    run: async (_, io) => {
      const inner = io.parallel("items", [1, 2, 3, 4], (_item, _index, itemIo) =>
        step(itemIo, "inner"),
      );
      await Promise.all([inner, step(io, "beside"), io.wait("beside-wait", "30ms")]);
      return step(io, "last");
    },
  });

  const family = defineJob({
    id: "family",
    trigger: invokeTrigger(),
    run: async (_, io) => {
      await step(io, "before");
      const child = await io.invokeAndWait("child", chain, {});
      if (!child.ok) throw child.error;
      return step(io, "after");
    },
  });

  return [chain, fan, family];
}
