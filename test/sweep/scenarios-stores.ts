import type { Io } from "pawl";
import type { Host } from "./host.js";
import type { Process } from "./process.js";
import type { End, Scenario } from "./scenario.js";
import { job } from "./scenarios-client.js";
import type { Stage } from "./stage.js";

type Program = (io: Io, process: Process, runId: string) => Promise<unknown>;

/** A worker that is swept, another one beside it, and a client without the job. */
async function hosts(stage: Stage, program: Program): Promise<{ worker: Host; sender: Host }> {
  const jobs = (process: Process) => [job(process, program)];
  const worker = stage.host("worker", { jobs });
  const other = stage.host("other", { jobs });
  const sender = stage.host("sender");
  await worker.start();
  await other.start();
  return { worker, sender };
}

async function invoke(worker: Host, keys: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const idempotencyKey of keys) {
    const { id } = await worker.command((client) => client.invoke("job", 1, { idempotencyKey }));
    ids.push(id);
  }
  return ids;
}

async function storedValue(end: End, key: string): Promise<unknown> {
  const stored = await end.stage.observer.getValue(key);
  return stored === undefined ? undefined : JSON.parse(stored.value);
}

async function assertValue(end: End, key: string, expected: unknown): Promise<void> {
  const value = await storedValue(end, key);
  if (value !== expected) throw new Error(`${key} is ${value} instead of ${expected}`);
}

const scenarios: readonly Scenario[] = [
  {
    name: "increments beside tasks, in several runs",
    maxParked: [1_000, 0],
    async script(stage) {
      const { worker } = await hosts(stage, async (io, p) => {
        await Promise.all([
          io.store.env.increment("env", "n"),
          p.task(io, "a", () => "a"),
          io.store.job.increment("job", "n", 10),
          p.task(io, "b", (_task, inner) => inner.store.env.increment("inner", "n")),
          io.store.run.increment("run", "n"),
        ]);
        await io.wait("pause", "5s");
        await Promise.all([io.store.env.increment("more", "n"), p.task(io, "c", () => "c")]);
        await io.store.run.increment("own", "n");
        return io.store.run.get("end", "n");
      });
      await stage.ended(...(await invoke(worker, ["x", "y", "z"])));
    },
    async check(end) {
      end.count("job", 3, { exact: true });
      end.all("job", "COMPLETED", 2);
      await assertValue(end, "store:env/n", 9);
      await assertValue(end, "store:job:job/n", 30);
      // Nobody was given a sum twice.
      const sums: unknown[] = [];
      for (const { id } of end.of("job")) {
        const { tasks } = await end.stage.observer.listTasks(id, 0, 1 << 20);
        sums.push(
          ...tasks
            .filter(({ path }) => ["env", "b/inner", "more"].includes(path))
            .map(({ output }) => output),
        );
      }
      if (new Set(sums).size !== 9) throw new Error(`the sums were ${sums}`);
    },
    executionsReplayed: { b: 2 },
    slackMs: 10_000,
  },
  {
    name: "compare-and-set: one of several runs gets it",
    async script(stage) {
      const { worker } = await hosts(stage, async (io, p, runId) => {
        const [isTaken] = await Promise.all([
          io.store.env.compareAndSet("take", "ticket", undefined, runId),
          p.task(io, "beside", () => "done"),
        ]);
        await io.wait("pause", "3s");
        const holder = await io.store.env.get("look", "ticket");
        return [isTaken, holder === runId];
      });
      await stage.ended(...(await invoke(worker, ["x", "y", "z"])));
    },
    async check(end) {
      end.count("job", 3, { exact: true });
      const won = end.of("job").filter(({ output }) => output === "[true,true]");
      if (won.length !== 1) throw new Error(`${won.length} runs got the ticket`);
      for (const run of end.of("job")) end.one(run, "COMPLETED", [won[0] === run, won[0] === run]);
      await assertValue(end, "store:env/ticket", won[0]?.id);
    },
    slackMs: 10_000,
  },
  {
    name: "compare-and-set in a loop until it holds",
    async script(stage) {
      const { worker } = await hosts(stage, async (io, p) => {
        for (let round = 0; ; round++) {
          const n = await io.store.job.get<number>(["read", round], "n");
          await p.task(io, `between ${round}`, () => null);
          if (await io.store.job.compareAndSet(["add", round], "n", n, (n ?? 0) + 1))
            return "added";
        }
      });
      await stage.ended(...(await invoke(worker, ["x", "y", "z"])));
    },
    async check(end) {
      end.count("job", 3, { exact: true });
      end.all("job", "COMPLETED", "added");
      await assertValue(end, "store:job:job/n", 3);
    },
    slackMs: 30_000,
  },
  {
    name: "the run's own values over waits",
    maxParked: [1_000, 0],
    async script(stage) {
      const { worker } = await hosts(stage, async (io, p) => {
        await io.store.run.set("set", "list", ["a"]);
        await io.wait("pause", "2s");
        const list = await io.store.run.get<string[]>("get", "list");
        const more = await p.task(io, "task", () => [...(list ?? []), "b"]);
        const swapped = await io.store.run.compareAndSet("swap", "list", list, more);
        await io.wait("more", "2s");
        const deleted = await io.store.run.delete("delete", "list");
        return [more.join(), swapped, deleted, await io.store.run.has("has", "list")];
      });
      await stage.ended(...(await invoke(worker, ["x"])));
    },
    check: (end) => end.all("job", "COMPLETED", ["a,b", true, true, false]),
  },
  {
    name: "a client's increments beside those of a run",
    host: "sender",
    async script(stage) {
      const { worker, sender } = await hosts(stage, async (io, p) => {
        for (let n = 0; n < 3; n++) {
          await io.store.env.increment(["add", n], "n");
          await p.task(io, `beside ${n}`, () => null);
        }
        return "done";
      });
      const [id = ""] = await invoke(worker, ["x"]);
      for (let n = 0; n < 3; n++) {
        await sender.command((client) => {
          stage.ledger.note("sent");
          return client.store.env.increment("n");
        });
        stage.ledger.note("acknowledged");
      }
      await stage.ended(id);
    },
    // Sent again after a failure it may count twice, and says so; never is one lost that was acknowledged.
    async check(end) {
      end.all("job", "COMPLETED", "done");
      const { ledger } = end.stage;
      const value = Number(await storedValue(end, "store:env/n")) - 3;
      if (value < ledger.noted("acknowledged") || value > ledger.noted("sent"))
        throw new Error(
          `${value} of ${ledger.noted("sent")} increments that were sent, ${ledger.noted("acknowledged")} acknowledged`,
        );
    },
  },
  {
    name: "a client's compare-and-set",
    host: "sender",
    async script(stage) {
      const { sender } = await hosts(stage, async () => null);
      for (let n = 0; n < 3; n++) {
        for (;;) {
          const isMoved = await sender.command(async ({ store: { env } }) => {
            // As the error says: read the value to see whether it was changed.
            if ((await env.get("n")) === n + 1) return true;
            return env.compareAndSet("n", n === 0 ? undefined : n, n + 1);
          });
          if (isMoved) break;
        }
      }
    },
    check: (end) => assertValue(end, "store:env/n", 3),
  },
];

export const storeScenarios: readonly Scenario[] = scenarios;
