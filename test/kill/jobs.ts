import { setTimeout as pause } from "node:timers/promises";
import { type AnyJob, defineJob, type Io, invokeTrigger, type Key } from "pawl";
import type { LedgerWriter } from "./ledger.js";

/** What a task returns: itself, and a value that no other execution of it returns. */
interface Mark {
  readonly taskId: string;
  readonly nonce: string;
}

/** The job of the n-th run that is asked for. */
const jobIds = [
  ...(["chain", "fan", "pooled", "alone", "family"] as const),
  ...(["token", "pooled", "fan", "counting", "pooled"] as const),
];
type JobId = (typeof jobIds)[number];

/** Tasks that leave a mark, those of children included. */
const tasksOf: Readonly<Record<JobId, number>> = {
  chain: 4,
  fan: 6,
  family: 6,
  alone: 2,
  token: 1,
  counting: 1,
  pooled: 2,
};
const incrementsOf: Readonly<Record<string, number>> = { alone: 1, token: 1, counting: 4 };

/** Most runs of "pooled" at a time with one key. */
export const POOL = 2;
const POOLS = 4;
/** What all runs count in. */
export const TOTAL = "total";

export function jobOf(n: number): JobId {
  return jobIds[n % jobIds.length] ?? "chain";
}

export function payloadOf(n: number): { readonly pool: string } {
  // Of ten requests three are of "pooled".
  return { pool: `pool-${Math.floor((n * 3) / jobIds.length) % POOLS}` };
}

export function expectedTasks(jobId: string): number {
  return tasksOf[jobId as JobId] ?? 0;
}

export function increments(jobId: string): number {
  return incrementsOf[jobId] ?? 0;
}

const common = {
  trigger: invokeTrigger(),
  // One run may be met by many kills before it has recorded anything.
  maxExecutionsWithoutProgress: 1_000,
};

/** Jobs of sequential, parallel, nested and failing tasks, waits and children, and such that share something. */
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
    ...common,
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
    ...common,
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
    ...common,
    run: async (_, io) => {
      await step(io, "before");
      const child = await io.invokeAndWait("child", chain, {});
      if (!child.ok) throw child.error;
      return step(io, "after");
    },
  });

  async function count(io: Io, runId: string, key: string): Promise<void> {
    const value = await io.store.env.increment(key, TOTAL);
    ledger.write("counted", process.pid, `${runId}/${key}`, value);
  }

  const alone = defineJob({
    id: "alone",
    ...common,
    singleton: { mode: "skip" },
    run: async (_, io, { run }) => {
      ledger.write("enter", process.pid, run.id);
      await step(io, "one");
      await count(io, run.id, "count");
      await step(io, "two");
      ledger.write("leave", process.pid, run.id);
    },
  });

  const token = defineJob({
    id: "token",
    ...common,
    run: async (_, io, { run }) => {
      const { id } = await io.createToken("token");
      await io.runTask("tell", () => ledger.write("token", process.pid, run.id, id));
      const answer = await io.waitForToken("answer", id);
      await Promise.all([step(io, "after"), count(io, run.id, "count")]);
      return answer;
    },
  });

  const counting = defineJob({
    id: "counting",
    ...common,
    run: async (_, io, { run }) => {
      await count(io, run.id, "before");
      await Promise.all(["one", "two"].map((key) => count(io, run.id, key)));
      await step(io, "step");
      await count(io, run.id, "after");
    },
  });

  const pooled = defineJob({
    id: "pooled",
    ...common,
    concurrencyLimit: { limit: POOL, key: ({ pool }) => pool },
    run: async ({ pool }: { pool: string }, io, { run }) => {
      ledger.write("hold", process.pid, run.id, pool);
      await step(io, "one");
      await step(io, "two");
      ledger.write("free", process.pid, run.id);
    },
  });

  return [chain, fan, family, alone, token, counting, pooled];
}
