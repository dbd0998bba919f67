import { type AnyJob, defineJob, type Io, invokeTrigger, TaskInterruptedError } from "pawl";
import { interruptionsOf } from "./faults.js";
import type { Process } from "./process.js";
import type { Scenario } from "./scenario.js";

type Program = (io: Io, process: Process) => Promise<unknown>;

/** One worker with one job, one run of it. */
export function oneRun(
  name: string,
  program: Program,
  rest: Omit<Scenario, "name" | "script">,
): Scenario {
  return {
    name,
    ...rest,
    async script(stage) {
      const worker = stage.host("worker", { jobs: (process) => [jobOf(process, program)] });
      await worker.start();
      const { id } = await worker.command((client) => client.invoke("job", { n: 1 }));
      await stage.ended(id);
    },
  };
}

function jobOf(process: Process, program: Program): AnyJob {
  return defineJob({
    id: "job",
    trigger: invokeTrigger(),
    run: (_payload: unknown, io) => program(io, process),
  });
}

const soon = { limit: 3, minTimeoutInMs: 200, factor: 1, randomize: false } as const;

/** Every run of the one job ended so. */
const allEnd =
  (output: unknown): Scenario["check"] =>
  (end) => {
    end.count("job", 1);
    end.all("job", "COMPLETED", output);
  };

export const taskScenarios: readonly Scenario[] = [
  oneRun("one task", async (io, p) => `got ${await p.task(io, "a", () => 1)}`, {
    check: allEnd("got 1"),
  }),
  oneRun(
    "ten tasks",
    async (io, p) => {
      let sum = 0;
      for (let n = 0; n < 10; n++) sum += await p.task(io, `t${n}`, () => n);
      return sum;
    },
    { check: allEnd(45) },
  ),
  oneRun(
    "a task that fails twice and then succeeds",
    (io, p) =>
      p.task(
        io,
        "a",
        ({ attempt }) => {
          if (attempt < 3) throw new Error("not yet");
          return attempt;
        },
        { retry: soon },
      ),
    { check: allEnd(3), executions: { a: 3 }, maxParked: [1_000, 0] },
  ),
  oneRun(
    "a task that fails for good",
    async (io, p) => {
      await p.task(io, "a", () => "kept");
      await p.task(io, "b", () => {
        throw new Error("boom");
      });
    },
    {
      check: (end) => {
        end.count("job", 1);
        end.all("job", "FAILED");
        for (const run of end.of("job")) end.error(run, "boom");
      },
    },
  ),
  oneRun(
    "nested tasks with a wait inside",
    (io, p) =>
      p.task(io, "outer", async (_task, inner) => {
        const first = await p.task(inner, "first", () => 1);
        await inner.wait("pause", "5s");
        return first + (await p.task(inner, "second", () => 2));
      }),
    { check: allEnd(3), executionsReplayed: { outer: 2 }, maxParked: [1_000, 0] },
  ),
  oneRun(
    "Promise.all of three tasks",
    (io, p) => Promise.all(["x", "y", "z"].map((key) => p.task(io, key, () => key.toUpperCase()))),
    { check: allEnd(["X", "Y", "Z"]) },
  ),
  oneRun(
    "race of a task and a wait",
    async (io, p) => {
      const winner = await Promise.race([
        p.task(io, "quick", () => "task"),
        io.wait("slow", "20s").then(() => "wait"),
      ]);
      return `${winner} ${await p.task(io, "after", () => "won")}`;
    },
    { check: allEnd("task won") },
  ),
  oneRun(
    "an at-most-once task",
    async (io, p) => {
      try {
        return await p.task(io, "once", () => "done", { mode: "at-most-once" });
      } catch (error) {
        if (!(error instanceof TaskInterruptedError)) throw error;
        return p.task(io, "clean up", () => "interrupted");
      }
    },
    {
      check: (end) => {
        end.count("job", 1);
        const mayBeCut = interruptionsOf(end.stage.fired?.kind) > 0;
        for (const run of end.of("job")) {
          const isCut = run.output === '"interrupted"' && mayBeCut;
          end.one(run, "COMPLETED", isCut ? "interrupted" : "done");
          const executions = end.stage.ledger.executionsOf(`${run.id}/once`);
          if (executions > 1) throw new Error(`an at-most-once task ran ${executions} times`);
        }
      },
    },
  ),
  oneRun(
    "log lines",
    async (io, p) => {
      io.logger.info("start");
      await p.task(io, "a", (_task, inner) => inner.logger.info("in a"));
      io.logger.info("between");
      await io.wait("pause", "3s");
      io.logger.info("after");
      await p.task(io, "b", (_task, inner) => inner.logger.warn("in b"));
      io.logger.info("end");
      return "logged";
    },
    {
      maxParked: [1_000, 0],
      check: async (end) => {
        allEnd("logged")(end);
        for (const run of end.of("job")) {
          const lines = await end.stage.observer.listLogs(run.id, { limit: 100 });
          const text = lines.map(({ message }) => message).join(", ");
          if (text !== "start, in a, between, after, in b, end") throw new Error(`log: ${text}`);
        }
      },
    },
  ),
  oneRun(
    "yield",
    async (io, p) => {
      const a = await p.task(io, "a", () => 1);
      await io.yield("give way");
      return a + (await p.task(io, "b", () => 2));
    },
    { check: allEnd(3) },
  ),
  oneRun(
    "remembered values",
    async (io, p) => {
      const before = [await io.random("r"), await io.uuid("u"), (await io.now("t")).getTime()];
      await p.task(io, "keep", () => before);
      await io.wait("pause", "2s");
      return p.task(io, "same", () => before);
    },
    {
      maxParked: [1_000, 0],
      check: async (end) => {
        end.count("job", 1);
        end.all("job", "COMPLETED");
        for (const run of end.of("job")) {
          const { tasks } = await end.stage.observer.listTasks(run.id, 0, 1 << 20);
          const kept = tasks.find(({ path }) => path === "keep")?.output;
          if (kept !== run.output) throw new Error(`${kept} became ${run.output}`);
        }
      },
    },
  ),
  oneRun(
    "wait",
    async (io, p) => {
      await p.task(io, "before", () => null);
      await io.wait("pause", "40s");
      return p.task(io, "after", () => "waited");
    },
    {
      maxParked: [1_000, 0],
      check: (end) => {
        allEnd("waited")(end);
        for (const { startedAt, finishedAt } of end.of("job")) {
          const ms = (finishedAt ?? 0) - (startedAt ?? 0);
          if (ms < 40_000) throw new Error(`it waited ${ms} ms instead of 40000`);
        }
      },
    },
  ),
  oneRun(
    "waitForAny",
    async (io, p) => {
      const { name } = await io.waitForAny("first", {
        long: (branch) => branch.wait("l", "30s"),
        short: async (branch) => {
          await p.task(branch, "prepare", () => null);
          await branch.wait("s", "3s");
        },
      });
      return `${name} ${await p.task(io, "after", () => "won")}`;
    },
    {
      maxParked: [1_000, 0],
      check: (end) => {
        end.count("job", 1);
        // The short wait begins only once "prepare" is on record.
        const isLate = end.stage.fired?.kind === "away for long";
        for (const run of end.of("job"))
          end.one(
            run,
            "COMPLETED",
            isLate && run.output === '"long won"' ? "long won" : "short won",
          );
      },
    },
  ),
  oneRun(
    "parallel",
    (io, p) =>
      io.parallel(
        "items",
        [1, 2, 3],
        async (item, _index, inner) => {
          const doubled = await p.task(inner, "double", () => item * 2);
          if (item === 2) await inner.wait("pause", "2s");
          return doubled;
        },
        { concurrency: 2 },
      ),
    { check: allEnd([2, 4, 6]), maxParked: [1_000, 0] },
  ),
];
