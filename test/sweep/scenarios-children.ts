import {
  type AnyJob,
  defineJob,
  eventTrigger,
  type Io,
  invokeTrigger,
  WaitTimeoutError,
} from "pawl";
import type { Process } from "./process.js";
import type { End, Scenario } from "./scenario.js";

type Program = (io: Io, process: Process, payload: unknown) => Promise<unknown>;

interface Family {
  readonly parent: Program;
  readonly child: Program;
  /** The child is started by an event instead of by id. */
  readonly hears?: string;
}

function jobs(process: Process, { parent, child, hears }: Family): readonly AnyJob[] {
  const run = (payload: unknown, io: Io) => child(io, process, payload);
  return [
    defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: (payload: unknown, io) => parent(io, process, payload),
    }),
    hears === undefined
      ? defineJob({ id: "child", trigger: invokeTrigger(), run })
      : defineJob({ id: "child", trigger: eventTrigger({ name: hears }), run }),
  ];
}

function family(name: string, members: Family, rest: Omit<Scenario, "name" | "script">): Scenario {
  return {
    name,
    ...rest,
    async script(stage) {
      const worker = stage.host("worker", { jobs: (process) => jobs(process, members) });
      await worker.start();
      const { id } = await worker.command((client) => client.invoke("parent", "p"));
      await stage.ended(id);
    },
  };
}

/** One child, or `each`, for each parent. */
function bothEnd(end: End, parentOutput: unknown, childStatus: string, each = 1): void {
  end.count("parent", 1);
  end.all("parent", "COMPLETED", parentOutput);
  const parents = end.of("parent").length;
  const children = end.of("child").length;
  if (children !== parents * each)
    throw new Error(`${children} children of ${parents} parents instead of ${each} each`);
  end.all("child", childStatus);
}

const double: Program = (io, p, payload) => p.task(io, "double", () => Number(payload) * 2);
const boom: Program = async (io, p) => {
  await p.task(io, "fail", () => {
    throw new Error("child boom");
  });
};

export const childScenarios: readonly Scenario[] = [
  family(
    "invoke",
    {
      parent: async (io, p) => {
        const { id } = await io.invoke("start", "child", 21);
        return p.task(io, "after", () => typeof id);
      },
      child: double,
    },
    { check: (end) => bothEnd(end, "string", "COMPLETED") },
  ),
  family(
    "invoke with an idempotency key in a run",
    {
      parent: async (io) => {
        const one = await io.invoke("one", "child", 21, { idempotencyKey: "k" });
        const two = await io.invoke("two", "child", 21, { idempotencyKey: "k" });
        return one.id === two.id;
      },
      child: double,
    },
    {
      check: (end) => {
        end.count("parent", 1);
        end.all("parent", "COMPLETED", true);
        end.count("child", 1, { exact: true });
        end.all("child", "COMPLETED", 42);
      },
    },
  ),
  family(
    "invokeAndWait",
    {
      parent: async (io, p) => {
        const result = await io.invokeAndWait("call", "child", 21);
        return p.task(io, "after", () => (result.ok ? result.output : "failed"));
      },
      child: double,
    },
    { check: (end) => bothEnd(end, 42, "COMPLETED"), maxParked: [1_000, 0] },
  ),
  family(
    "invokeAndWait with an idempotency key",
    {
      parent: async (io) => {
        const result = await io.invokeAndWait("call", "child", 21, { idempotencyKey: "k" });
        return result.ok ? result.output : "failed";
      },
      child: double,
    },
    {
      check: (end) => {
        end.count("parent", 1);
        end.all("parent", "COMPLETED", 42);
        end.count("child", 1, { exact: true });
      },
    },
  ),
  family(
    "invokeAndWait of a failing child",
    {
      parent: async (io) => {
        const result = await io.invokeAndWait("call", "child", 0);
        return result.ok ? "ok" : result.error.message;
      },
      child: boom,
    },
    { check: (end) => bothEnd(end, "child boom", "FAILED"), maxParked: [1_000, 0] },
  ),
  {
    name: "invokeAndWait of a child that is cancelled",
    maxParked: [1_000, 0],
    async script(stage) {
      const members: Family = {
        parent: async (io) => {
          const result = await io.invokeAndWait("call", "child", 0);
          return result.ok ? "ok" : result.run.status;
        },
        child: async (io, p) => {
          await p.task(io, "begin", () => null);
          await io.wait("long", "1h");
        },
      };
      const worker = stage.host("worker", { jobs: (process) => jobs(process, members) });
      await worker.start();
      const options = { idempotencyKey: "only" };
      const { id } = await worker.command((client) => client.invoke("parent", "p", options));
      await stage.until(async () => (await stage.runs()).some((run) => run.jobId === "child"));
      await stage.pause(1_000);
      await worker.command((client) => client.cancelRunsForJob("child"));
      await stage.ended(id);
    },
    check: (end) => bothEnd(end, "CANCELED", "CANCELED"),
  },
  family(
    "invokeAndWait that times out",
    {
      parent: async (io) => {
        try {
          await io.invokeAndWait("call", "child", 0, { timeout: "5s" });
          return "ok";
        } catch (error) {
          return error instanceof WaitTimeoutError ? "timed out" : String(error);
        }
      },
      child: async (io, p) => {
        await io.wait("long", "4m");
        return p.task(io, "late", () => "late");
      },
    },
    { check: (end) => bothEnd(end, "timed out", "COMPLETED"), maxParked: [1_000, 0] },
  ),
  family(
    "batchInvokeAndWait",
    {
      parent: async (io) => {
        const items = [1, 2, 3].map((payload) => ({ payload }));
        const results = await io.batchInvokeAndWait("all", "child", items);
        return results.map((result) => (result.ok ? result.output : "failed"));
      },
      child: double,
    },
    { check: (end) => bothEnd(end, [2, 4, 6], "COMPLETED", 3), maxParked: [1_000, 0] },
  ),
  family(
    "batchInvokeAndWait, one at a time",
    {
      parent: async (io) => {
        const items = [1, 2].map((payload) => ({ payload }));
        const results = await io.batchInvokeAndWait("all", "child", items, { concurrency: 1 });
        return results.map((result) => (result.ok ? result.output : "failed"));
      },
      child: double,
    },
    { check: (end) => bothEnd(end, [2, 4], "COMPLETED", 2), maxParked: [1_000, 0] },
  ),
  family(
    "sendEvent in a run",
    {
      parent: async (io, p) => {
        const sent = await io.sendEvent("tell", { name: "news", payload: 21 });
        return p.task(io, "after", () => sent.runIds.length);
      },
      child: double,
      hears: "news",
    },
    {
      check: (end) => {
        bothEnd(end, 1, "COMPLETED");
        end.all("child", "COMPLETED", 42);
      },
    },
  ),
];
