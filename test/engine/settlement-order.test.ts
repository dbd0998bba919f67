import fc from "fast-check";
import type { Codec, Io } from "pawl";
import { defaultCodec } from "pawl";
import { expect, test } from "vitest";
import { jobOf, Machine, start, takeTurns, turns } from "./drive.js";
import { until } from "./support.js";
import { describeEngine, type World } from "./world.js";

/** What a run does: leaves are remembered calls, the rest combines them. */
type Tree =
  | { readonly kind: "task"; readonly turns: number; readonly fails: boolean }
  | { readonly kind: "steps"; readonly awaits: number }
  | { readonly kind: "wait"; readonly seconds: number }
  | { readonly kind: "child"; readonly seconds: number }
  | {
      readonly kind:
        | "all"
        | "race"
        | "any"
        | "settled"
        | "sequence"
        | "parallel"
        | "first"
        | "nested";
      readonly parts: readonly Tree[];
    };

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.record({
      kind: fc.constant("task" as const),
      turns: fc.nat(3),
      fails: fc.nat(5).map((n) => n === 0),
    }),
    fc.record({ kind: fc.constant("steps" as const), awaits: fc.nat(20) }),
    fc.record({ kind: fc.constant("wait" as const), seconds: fc.integer({ min: 0, max: 5 }) }),
    fc.record({ kind: fc.constant("child" as const), seconds: fc.integer({ min: 0, max: 3 }) }),
    fc.record({
      kind: fc.constantFrom(
        "all",
        "race",
        "any",
        "settled",
        "sequence",
        "parallel",
        "first",
        "nested",
      ) as fc.Arbitrary<"all">,
      parts: fc.array(tie("tree"), { minLength: 1, maxLength: 4 }),
    }),
  ) as fc.Arbitrary<Tree>,
}));

/** A promise chain of the user's that waits for nothing. */
async function steps(awaits: number): Promise<void> {
  for (let count = 0; count < awaits; count++) await null;
}

type Trace = string[];

/** Runs a tree; every call that settles writes its path into the trace of its scope. */
async function evaluate(io: Io, node: Tree, path: string, trace: Trace): Promise<unknown> {
  const note = (promise: Promise<unknown>) =>
    promise.then(
      (value) => {
        trace.push(path);
        return value;
      },
      (error) => {
        trace.push(`${path}!`);
        throw error;
      },
    );
  switch (node.kind) {
    case "task":
      return note(
        io.runTask(path, async () => {
          await takeTurns(node.turns);
          if (node.fails) throw new Error(path);
          return path;
        }),
      );
    case "steps":
      return note(steps(node.awaits).then(() => path));
    case "wait":
      return note(io.wait(path, node.seconds).then(() => path));
    case "child":
      return note(io.invokeAndWait(path, "child", node.seconds).then(({ ok }) => ok));
    default:
      return combine(io, node.kind, node.parts, path, trace, note);
  }
}

async function combine(
  io: Io,
  kind: "all" | "race" | "any" | "settled" | "sequence" | "parallel" | "first" | "nested",
  parts: readonly Tree[],
  path: string,
  trace: Trace,
  note: (promise: Promise<unknown>) => Promise<unknown>,
): Promise<unknown> {
  const run = (part: Tree, index: number) => evaluate(io, part, `${path}.${index}`, trace);
  // A task's inner trace is part of its value: a replay does not go inside.
  const inside = async (inner: Io, part: Tree) => {
    const innerTrace: Trace = [];
    return [await evaluate(inner, part, "i", innerTrace), innerTrace];
  };
  if (kind === "sequence") {
    const values: unknown[] = [];
    for (const [index, part] of parts.entries()) values.push(await run(part, index));
    return values;
  }
  if (kind === "parallel")
    return note(io.parallel(path, parts, (part, _index, inner) => inside(inner, part)));
  if (kind === "first") {
    const branches = parts.map((part, index) => [
      `b${index}`,
      (branch: Io) => evaluate(branch, part, "b", []),
    ]);
    return note(io.waitForAny(path, Object.fromEntries(branches)));
  }
  if (kind === "nested")
    return note(
      io.runTask(path, (_task, inner) => inside(inner, { kind: "all", parts }), {
        retry: { limit: 2, randomize: false },
      }),
    );
  const promises = parts.map(run);
  if (kind === "all") return Promise.all(promises);
  if (kind === "race") return Promise.race(promises);
  if (kind === "any") return Promise.any(promises);
  return (await Promise.allSettled(promises)).map(({ status }) => status);
}

interface Seen {
  trace: Trace;
  result?: unknown;
}

/** Each decode takes another number of turns. */
function slowCodec(): Codec {
  let count = 0;
  return {
    encode: async (value, what) => {
      await takeTurns(count++ % 3);
      return defaultCodec.encode(value, what);
    },
    decode: async (text) => {
      await takeTurns(count++ % 4);
      return defaultCodec.decode(text);
    },
  };
}

const child = jobOf((io, _context, payload) => io.wait("w", payload as number), { id: "child" });

/** Executes a tree, with a crash at the end of `run` and another replay after it; gives what each execution saw. */
async function executions(world: World, node: Tree, codec: Codec, dieAt: number): Promise<Seen[]> {
  const seen: Seen[] = [];
  let machine: Machine | undefined;
  const job = jobOf(async (io) => {
    const mine: Seen = { trace: [] };
    seen.push(mine);
    try {
      mine.result = ["ok", await evaluate(io, node, "r", mine.trace)];
    } catch (error) {
      mine.result = ["failed", error instanceof AggregateError ? "any" : (error as Error).message];
    }
    // What is still open settles or not: `run` has returned, and nothing in the run depends on it.
    mine.trace = [...mine.trace];
    // The end is never recorded by the first process: the next one replays all of it.
    machine?.freeze();
    machine = undefined;
    return mine.result;
  });
  machine = new Machine(world, { jobs: [job, child], codec });
  const { id } = await machine.client.invoke(job, {});
  if (dieAt > 0) machine.dieAtCommit(dieAt);
  const first = machine.client;
  for (let step = 0; step < 12 && machine !== undefined; step++) {
    await Promise.race([first.drain(), turns(400)]);
    world.clock.advance(1);
  }
  machine = undefined;
  const survivor = world.client({ jobs: [job, child], codec });
  for (let step = 0; step < 20; step++) {
    world.clock.advance("11s");
    await survivor.drain();
    const run = await survivor.getRun(id);
    if (run?.status === "COMPLETED") break;
    if (step === 19) throw new Error(`the run is ${run?.status}: ${run?.error?.message ?? ""}`);
  }
  await survivor.stop({ timeout: 0 });
  return seen;
}

/** Each execution goes on where the one before it had come to: what has settled settles again, in the same order. */
function expectReplays(seen: readonly Seen[]): void {
  for (const [index, { trace, result }] of seen.entries()) {
    const next = seen[index + 1];
    if (next === undefined) continue;
    expect(next.trace.slice(0, trace.length)).toEqual(trace);
    if (result !== undefined) expect(next.result).toEqual(result);
  }
}

const runs = Number(process.env.PAWL_PROPERTY_RUNS ?? 20);

describeEngine("settlement order", (world) => {
  test("G6: random trees give the same result kept, replayed after every park, and replayed from scratch", async () => {
    await fc.assert(
      fc.asyncProperty(tree, async (node) => {
        expectReplays(await executions(world(), node, defaultCodec, 0));
      }),
      { numRuns: runs },
    );
    expect(world().troubles).toEqual([]);
  });

  test("G6: so they do with a codec that decodes asynchronously, each value in another time", async () => {
    await fc.assert(
      fc.asyncProperty(tree, async (node) => {
        expectReplays(await executions(world(), node, slowCodec(), 0));
      }),
      { numRuns: runs },
    );
    expect(world().troubles).toEqual([]);
  });

  test("G6: and with a crash at any commit", async () => {
    await fc.assert(
      fc.asyncProperty(tree, fc.integer({ min: 1, max: 12 }), async (node, dieAt) => {
        expectReplays(await executions(world(), node, defaultCodec, dieAt));
      }),
      { numRuns: runs },
    );
    expect(world().troubles).toEqual([]);
  });

  test("I10: a race between tasks takes the recorded branch when the loser decodes faster", async () => {
    const winners: string[] = [];
    const codec: Codec = {
      encode: (value, what) => defaultCodec.encode(value, what),
      decode: async (text) => {
        if (text.includes("winner")) await takeTurns(20);
        return defaultCodec.decode(text);
      },
    };
    const run = await start(
      world(),
      async (io) => {
        const a = io.runTask("a", async () => {
          await takeTurns(10);
          return "loser";
        });
        const b = io.runTask("b", () => "winner");
        winners.push(await Promise.race([a, b]));
        await a;
        await io.wait("park", 60);
        await io.wait("again", 60);
        return winners.at(-1);
      },
      { client: { codec } },
    );
    expect((await run.finish()).output).toBe("winner");
    expect(new Set(winners)).toEqual(new Set(["winner"]));
  });

  test.each([1, 3, 10, 50])(
    "E4: a promise chain of %i steps beats a task or loses to it in each execution alike",
    async (awaits) => {
      const winners: string[] = [];
      const run = await start(
        world(),
        async (io) => {
          await io.runTask("before", () => 0);
          const task = io.runTask("task", () => 1).then(() => "task");
          winners.push(await Promise.race([task, steps(awaits).then(() => "chain")]));
          await io.wait("park", "1h");
        },
        { client: { maxParked: 0 } },
      );
      await run.finish();
      expect(winners).toHaveLength(2);
      expect(new Set(winners).size).toBe(1);
    },
  );

  test.each([1, 3, 10, 50])(
    "E4: a task that is called %i steps after a task that hangs is the winner after a restart, too",
    async (awaits) => {
      const effects: string[] = [];
      const hang = jobOf(async (io) => {
        await io.runTask("before", () => 0);
        const slow = io.runTask("slow", () =>
          effects.length === 0 ? new Promise<never>(() => {}) : 1,
        );
        const quick = steps(awaits).then(() => io.runTask("quick", () => 2));
        const winner = await Promise.race([slow.then(() => "slow"), quick.then(() => "quick")]);
        await io.runTask(["charge", winner], () => effects.push(winner));
        await io.wait("park", "1h");
      });
      const doomed = new Machine(world(), { jobs: [hang] });
      const { id } = await doomed.client.invoke(hang, {});
      void doomed.client.drain();
      await until(() => effects.length === 1);
      await turns(5);
      doomed.freeze();
      world().clock.advance("31s");
      const heir = world().client({ jobs: [hang] });
      await heir.drain();
      world().clock.advance("1h");
      await heir.drain();
      expect(await heir.getRun(id)).toMatchObject({ status: "COMPLETED" });
      expect(effects).toEqual(["quick"]);
    },
  );
});
