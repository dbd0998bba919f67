import { expect, test } from "vitest";
import { gate, runToEnd, start, turns } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("waitForAny", (world) => {
  test("the first of several waits wins, and the losers are disarmed in the winner's commit", async () => {
    const run = await start(world(), async (io) => {
      const first = await io.waitForAny("race", {
        slow: (branch) => branch.wait("w", "2h"),
        fast: async (branch) => {
          await branch.wait("w", "1h");
          return "quick";
        },
      });
      await io.wait("after", "10h");
      return first;
    });
    await run.drain();
    world().clock.advance("1h");
    const parked = await run.drain();
    expect(parked.availableAt).toEqual(new Date(world().clock.now() + 36_000_000));
    expect(parked.tasks?.[0]?.tasks?.map(({ path, status }) => [path, status])).toEqual([
      ["race/fast/w", "COMPLETED"],
      ["race/slow/w", "CANCELED"],
    ]);
    expect((await run.finish()).output).toEqual({ name: "fast", value: "quick" });
  });

  test("code of a losing branch never goes on, and its running task is told to stop", async () => {
    const went: string[] = [];
    const signals: AbortSignal[] = [];
    const aborted: unknown[] = [];
    const slow = gate();
    const run = await start(world(), async (io) => {
      const { name } = await io.waitForAny("race", {
        loser: async (branch) => {
          await branch.runTask("work", (task) => {
            signals.push(task.signal);
            return slow.opened;
          });
          went.push("loser");
          await branch.runTask("more", () => went.push("more"));
        },
        winner: (branch) => branch.runTask("quick", () => "v"),
      });
      if (signals.length === 1) aborted.push(signals[0]?.aborted);
      slow.open();
      await io.wait("park", 60);
      return name;
    });
    expect((await run.finish()).output).toBe("winner");
    await turns();
    expect(went).toEqual([]);
    expect(aborted[0]).toBe(true);
  });

  test("a branch that throws first rejects the call, with the same error after each replay", async () => {
    const seen: string[] = [];
    const run = await runToEnd(world(), async (io) => {
      try {
        await io.waitForAny("race", {
          bad: (branch) =>
            branch.runTask("t", () => {
              throw new RangeError("lost");
            }),
          wait: (branch) => branch.wait("w", "1h"),
        });
      } catch (error) {
        seen.push(String(error));
      }
      await io.wait("park", 60);
      return "caught";
    });
    expect(run.output).toBe("caught");
    expect(new Set(seen)).toEqual(new Set(["RangeError: lost"]));
  });

  test("a child that loses goes on by itself, and its end does not disturb the parent", async () => {
    const child = (await import("./drive.js")).jobOf((io) => io.wait("w", "2h"), { id: "child" });
    const run = await start(
      world(),
      async (io) => {
        const { name } = await io.waitForAny("race", {
          child: (branch) => branch.invokeAndWait("c", "child", {}),
          timeout: (branch) => branch.wait("w", "1h"),
        });
        await io.wait("long", "5h");
        return name;
      },
      { client: { jobs: [child] } },
    );
    expect((await run.finish()).output).toBe("timeout");
    const { runs } = await run.client.getRuns({ jobId: "child" });
    expect(runs.map(({ status }) => status)).toEqual(["COMPLETED"]);
  });

  test("after a downtime the branch that was due first wins, whatever their order in the code", async () => {
    const run = await start(world(), (io) =>
      io.waitForAny("race", {
        later: (branch) => branch.wait("w", "2h"),
        sooner: (branch) => branch.wait("w", "1h"),
      }),
    );
    await run.drain();
    world().clock.advance("5h");
    expect((await run.drain()).output).toMatchObject({ name: "sooner" });
  });

  test("branches that are no functions, or none at all, are refused", async () => {
    const run = await runToEnd(world(), async (io) => {
      const codes: string[] = [];
      for (const [index, branches] of [{}, { a: 5 }].entries())
        await io
          .waitForAny(["r", index], branches as never)
          .catch((error) => codes.push(error.code));
      return codes;
    });
    expect(run.output).toEqual(["OPTION_INVALID", "OPTION_INVALID"]);
  });

  test("in a retried parent a decided race stays decided", async () => {
    const run = await runToEnd(world(), (io) =>
      io.runTask(
        "parent",
        async (parent, inner) => {
          const { name } = await inner.waitForAny("race", {
            a: (branch) => branch.wait("w", 60),
            b: (branch) => branch.wait("w", 30),
          });
          if (parent.attempt === 1) throw new Error("once");
          return name;
        },
        { retry: { limit: 2 } },
      ),
    );
    expect(run.output).toBe("b");
  });
});
