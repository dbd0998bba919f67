import type { Io } from "pawl";
import { expect, test } from "vitest";
import { gate, runToEnd, start, turns } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("nested tasks", (world) => {
  test("K4: tasks nest to any depth, with waits on each level", async () => {
    const depth = 12;
    const calls: string[] = [];
    const descend = async (io: Io, level: number): Promise<number> =>
      io.runTask("down", async (task, inner) => {
        if (level === depth) {
          calls.push(task.id.slice(task.id.indexOf("/") + 1));
          return level;
        }
        await inner.wait("rest", "1h");
        return descend(inner, level + 1);
      });
    const run = await runToEnd(world(), (io) => descend(io, 1));
    expect(run).toMatchObject({ status: "COMPLETED", output: depth });
    expect(calls).toEqual([Array(depth).fill("down").join("/")]);
  });

  test("K4: the run's io used in a callback, also in helpers it awaits, belongs to that task", async () => {
    const run = await runToEnd(world(), async (io) => {
      const helper = async () => {
        await Promise.resolve();
        return io.runTask("leaf", () => "v");
      };
      await io.runTask("a", helper);
      await io.runTask("b", async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return helper();
      });
      return helper();
    });
    const paths = (run.tasks ?? []).flatMap((task) => [
      task.path,
      ...(task.tasks ?? []).map((inner) => inner.path),
    ]);
    expect(paths.sort()).toEqual(["a", "a/leaf", "b", "b/leaf", "leaf"]);
  });

  test("K4: two parallel parents keep their children apart", async () => {
    const run = await runToEnd(world(), (io) =>
      Promise.all(
        ["x", "y"].map((name) =>
          io.runTask(name, async (_task, inner) => {
            await inner.wait("rest", 10);
            return inner.runTask("leaf", () => name);
          }),
        ),
      ),
    );
    expect(run.output).toEqual(["x", "y"]);
  });

  test("K4: a parent that waits runs again on replay, which is no attempt; its children do not", async () => {
    const attempts: number[] = [];
    let children = 0;
    const run = await runToEnd(world(), (io) =>
      io.runTask("parent", async (task, inner) => {
        attempts.push(task.attempt);
        await inner.runTask("child", () => ++children);
        await inner.wait("one", 10);
        await inner.wait("two", 10);
        return task.attempt;
      }),
    );
    expect(run.output).toBe(1);
    expect(children).toBe(1);
    expect(new Set(attempts)).toEqual(new Set([1]));
    expect(attempts.length).toBe(world().maxParked === 0 ? 3 : 1);
  });

  test("K13: a child that fails and is caught by its parent stays failed over replays of the parent", async () => {
    let calls = 0;
    const run = await runToEnd(world(), (io) =>
      io.runTask("parent", async (_task, inner) => {
        const message = await inner
          .runTask("child", () => {
            calls++;
            throw new Error("child broke");
          })
          .catch((error: Error) => error.message);
        await inner.wait("rest", 10);
        return message;
      }),
    );
    expect(run.output).toBe("child broke");
    expect(calls).toBe(1);
  });

  test("a task that ends while its run is parked on a wait inside it is recorded", async () => {
    let finishTask = () => {};
    const outside = new Promise<void>((resolve) => {
      finishTask = resolve;
    });
    let calls = 0;
    const run = await start(world(), (io) =>
      io.runTask("either", async (_task, inner) => {
        calls++;
        await Promise.race([inner.wait("hour", "1h"), outside]);
        return "done";
      }),
    );
    await run.drain();
    finishTask();
    await turns(1);
    expect(await run.finish()).toMatchObject({ status: "COMPLETED", output: "done" });
    expect(calls).toBeGreaterThan(0);
  });

  test("a task that its parent left open and that is tried again holds the run no longer than its parent's parent", async () => {
    const { opened, open } = gate();
    const run = await start(world(), async (io) => {
      await io.runTask(
        "outer",
        async (task, inner) => {
          const middle = inner.runTask("middle", (_, innermost) =>
            Promise.race([
              innermost.runTask(
                "slow",
                async ({ attempt }) => {
                  if (attempt === 2) await opened;
                  throw new Error("again");
                },
                { retry: { limit: 3, minTimeoutInMs: 300, randomize: false } },
              ),
              innermost.runTask("fast", () => {
                throw new Error("no");
              }),
            ]),
          );
          await middle.catch(() => {});
          await inner.wait("second", 1);
          if (task.attempt === 1) throw new Error("outer once more");
        },
        { retry: { limit: 2, minTimeoutInMs: 0 } },
      );
      await io.yield("leave");
      return "done";
    });
    await run.client.start();
    for (let step = 0; step < 20; step++) {
      await turns(10);
      world().clock.advance({ milliseconds: 100 });
    }
    open();
    for (let step = 0; step < 30; step++) {
      await turns(10);
      world().clock.advance({ milliseconds: 100 });
    }
    expect(await run.read()).toMatchObject({ status: "COMPLETED", output: "done" });
  });
});
