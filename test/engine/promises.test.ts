import type { Io } from "pawl";
import { expect, test } from "vitest";
import { jobOf, runToEnd, start, takeTurns, turns } from "./drive.js";
import { describeEngine } from "./world.js";

const child = jobOf(
  async (io, _context, payload) => {
    const { seconds, fail } = payload as { seconds: number; fail?: boolean };
    await io.wait("w", seconds);
    if (fail === true) throw new Error("child failed");
    return seconds;
  },
  { id: "child" },
);

const fails = (io: Io, key: string) =>
  io.runTask(key, () => {
    throw new Error(`${key} failed`);
  });

describeEngine("promises", (world) => {
  test("I10: Promise.all over tasks, waits and children overlaps them and keeps their order", async () => {
    const begin = world().clock.now();
    const run = await runToEnd(
      world(),
      async (io) => {
        const [a, , c, d] = await Promise.all([
          io.runTask("a", () => 1),
          io.wait("w", "2h"),
          io.invokeAndWait("child", "child", { seconds: 3_600 }),
          io.runTask("d", () => 4),
        ]);
        return [a, c.ok && c.output, d];
      },
      { client: { jobs: [child] } },
    ).catch((error) => error);
    expect(run.output).toEqual([1, 3_600, 4]);
    expect(world().clock.now() - begin).toBe(7_200_000);
  });

  test("I10: Promise.all rejects with the first failure; the others are kept and never run again", async () => {
    let calls = 0;
    const run = await runToEnd(world(), async (io) => {
      const message = await Promise.all([
        io.runTask("good", () => ++calls),
        fails(io, "bad"),
        io.wait("w", "1h"),
      ]).catch((error: Error) => error.message);
      await io.wait("park", "2h");
      return [message, await io.runTask("after", () => calls)];
    });
    expect(run.output).toEqual(["bad failed", 1]);
  });

  test("I10: Promise.allSettled gives every outcome, the same after each replay", async () => {
    const run = await runToEnd(world(), async (io) => {
      const results = await Promise.allSettled([
        io.runTask("good", () => 1),
        fails(io, "bad"),
        io.wait("w", 60),
      ]);
      await io.wait("park", 60);
      return results.map((result) =>
        result.status === "fulfilled" ? "ok" : (result.reason as Error).message,
      );
    });
    expect(run.output).toEqual(["ok", "bad failed", "ok"]);
  });

  test("I10: Promise.race takes the branch that was recorded first, at every replay", async () => {
    const winners: string[] = [];
    const run = await runToEnd(world(), async (io) => {
      const winner = await Promise.race([
        io.wait("slow", "2h").then(() => "slow"),
        io.wait("fast", "1h").then(() => "fast"),
      ]);
      winners.push(winner);
      await io.wait("park", "3h");
      await io.wait("again", "3h");
      return winner;
    });
    expect(run.output).toBe("fast");
    expect(new Set(winners)).toEqual(new Set(["fast"]));
  });

  test("I10: Promise.any passes over failures and rejects with all of them if nothing is left", async () => {
    const run = await runToEnd(world(), async (io) => {
      const any = await Promise.any([fails(io, "a"), io.wait("w", 60).then(() => "wait")]);
      const none = await Promise.any([fails(io, "b"), fails(io, "c")]).catch((error) =>
        (error as AggregateError).errors.map((each) => each.message),
      );
      await io.wait("park", 60);
      return [any, none];
    });
    expect(run.output).toEqual(["wait", ["b failed", "c failed"]]);
  });

  test("a forgotten await neither hangs nor fails the run, and its late failure ends nothing", async () => {
    const rejections: unknown[] = [];
    const listen = (reason: unknown) => rejections.push(reason);
    process.on("unhandledRejection", listen);
    try {
      const run = await runToEnd(world(), async (io) => {
        void fails(io, "forgotten");
        void io.wait("never awaited", "1h");
        void io.runTask("", () => 1);
        await io.runTask("work", () => 1);
        await io.wait("park", 60);
        void io.runTask(
          "last",
          () => new Promise((_, reject) => setImmediate(reject, new Error("late"))),
        );
        return "done";
      });
      await turns();
      expect(run).toMatchObject({ status: "COMPLETED", output: "done" });
      expect(rejections).toEqual([]);
    } finally {
      process.off("unhandledRejection", listen);
    }
  });

  test("I6: io.try catches what its body rejects with, and so does plain try/catch", async () => {
    const run = await runToEnd(world(), async (io): Promise<unknown> => {
      const a = await io.try(
        () => fails(io, "a"),
        async (error) => (error as Error).message,
      );
      const b = await io.try(
        async () => "fine",
        async () => "not called",
      );
      await io.wait("park", 60);
      try {
        await fails(io, "c");
      } catch (error) {
        return [a, b, (error as Error).message];
      }
      return "not reached";
    });
    expect(run.output).toEqual(["a failed", "fine", "c failed"]);
  });

  test("fifty tasks at once are each called once and come back in order", async () => {
    let calls = 0;
    const run = await start(world(), async (io) => {
      const all = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          io.runTask(["t", index], async () => {
            calls++;
            await takeTurns(index % 3);
            return index;
          }),
        ),
      );
      await io.wait("park", 60);
      return all;
    });
    expect((await run.finish()).output).toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(calls).toBe(50);
  });
});
