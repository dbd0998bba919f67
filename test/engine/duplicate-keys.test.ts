import { expect, test } from "vitest";
import { runToEnd } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("keys", (world) => {
  test("K3: a key used twice rejects that call, naming key and parent; the first one stands", async () => {
    const run = await runToEnd(world(), async (io) => {
      const first = await io.runTask("same", () => 1);
      const second = await io
        .runTask("same", () => 2)
        .catch((error) => [error.code, error.message]);
      const wait = await io.wait("same", 1).catch((error) => error.code);
      const nested = await io.runTask("parent", async (_task, inner) => {
        await inner.runTask(["a", 1], () => 1);
        return inner.runTask(["a", 1], () => 2).catch((error) => error.message);
      });
      await io.wait("park", 1);
      return [first, second, wait, nested];
    });
    expect(run.output).toEqual([
      1,
      ["KEY_DUPLICATE", expect.stringMatching(/"same".*the run itself/)],
      "KEY_DUPLICATE",
      expect.stringMatching(/\["a",1\].*task "parent"/),
    ]);
  });

  test("K3: uncaught, the run is FAILED with KEY_DUPLICATE", async () => {
    const run = await runToEnd(world(), async (io) => {
      await Promise.all([io.runTask("x", () => 1), io.runTask("x", () => 2)]);
    });
    expect(run).toMatchObject({ status: "FAILED", error: { code: "KEY_DUPLICATE" } });
  });

  test("K3: log lines are exempt, and a replay is no second use", async () => {
    const run = await runToEnd(world(), async (io) => {
      io.logger.info("again");
      io.logger.info("again");
      for (let index = 0; index < 3; index++) await io.wait(["w", index], 1);
      return "fine";
    });
    expect(run.output).toBe("fine");
  });

  test("K2: keys that cannot be are refused by the call, and the run can go on", async () => {
    const bad = [
      "",
      "x".repeat(513),
      "nul\0",
      "\ud800",
      [],
      [{}],
      [Number.NaN],
      5,
      null,
      undefined,
    ];
    const run = await runToEnd(world(), async (io) => {
      const codes: string[] = [];
      for (const key of bad)
        await io.runTask(key as never, () => 1).catch((error) => codes.push(error.code));
      return codes;
    });
    expect(run.output).toEqual(bad.map(() => "KEY_INVALID"));
  });

  test("caps.tasksPerRun bounds the tasks of a run", async () => {
    const run = await runToEnd(
      world(),
      async (io) => {
        for (let index = 0; index < 10; index++) await io.runTask(["t", index], () => index);
      },
      { client: { caps: { tasksPerRun: 5 } } },
    );
    expect(run).toMatchObject({ status: "FAILED", error: { code: "TASK_LIMIT_EXCEEDED" } });
    expect(run.tasks?.length).toBe(5);
  });
});
