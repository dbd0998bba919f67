import type { Storage } from "pawl";
import { expect, test } from "vitest";
import { runToEnd, start } from "./drive.js";
import { describeEngine } from "./world.js";

async function linesOf(storage: Storage, runId: string) {
  const lines = await storage.listLogs(runId, { limit: 20_000 });
  return lines.map(({ level, message, path, data }) => ({ level, message, path, data }));
}

describeEngine("logger", (world) => {
  test("I17: five levels, in order, attached to the task that writes, not repeated by replays", async () => {
    const storage = world().storage();
    const run = await runToEnd(
      world(),
      async (io) => {
        io.logger.debug("d", { a: 1 });
        io.logger.info("same");
        io.logger.info("same");
        await io.runTask("task", async (_task, inner) => {
          inner.logger.warn("in task");
          io.logger.log("by context");
          await inner.wait("w", 10);
          inner.logger.error("after wait", new Error("e"));
        });
        await io.wait("park", 10);
        io.logger.log("last");
      },
      { client: { logLevel: "debug", storage } },
    );
    const lines = await linesOf(storage, run.id);
    expect(lines.map(({ level, message, path }) => [level, message, path])).toEqual([
      ["debug", "d", ""],
      ["info", "same", ""],
      ["info", "same", ""],
      ["warn", "in task", "task"],
      ["log", "by context", "task"],
      ["error", "after wait", "task"],
      ["log", "last", ""],
    ]);
    expect(lines[0]?.data).toBe('{"a":1}');
    expect(lines[5]?.data).toContain('"message":"e"');
  });

  test("I17: lines below the level are not stored; the job's level wins over the client's", async () => {
    const storage = world().storage();
    const run = await runToEnd(
      world(),
      (io) => {
        io.logger.info("no");
        io.logger.warn("yes");
      },
      { client: { logLevel: "debug", storage }, job: { logLevel: "warn" } },
    );
    expect((await linesOf(storage, run.id)).map(({ message }) => message)).toEqual(["yes"]);
  });

  test("I17: nothing that is logged can fail a run", async () => {
    const cycle: Record<string, unknown> = { big: 1n };
    cycle.self = cycle;
    const run = await runToEnd(world(), (io) => {
      io.logger.info("cycle", cycle);
      io.logger.info("\0\ud800", Symbol("s"));
      io.logger.info(undefined as never, () => 1);
      io.logger.info(Object.create(null) as never);
      return "fine";
    });
    expect(run.output).toBe("fine");
  });

  test("I17: a retried attempt writes lines of its own", async () => {
    const storage = world().storage();
    const run = await runToEnd(
      world(),
      (io) =>
        io.runTask(
          "flaky",
          (task, inner) => {
            inner.logger.info("trying");
            if (task.attempt < 3) throw new Error("no");
          },
          { retry: { limit: 3 } },
        ),
      { client: { storage } },
    );
    expect((await linesOf(storage, run.id)).map(({ message }) => message)).toEqual(
      Array(3).fill("trying"),
    );
  });

  test("K19: ten thousand lines are stored once each, over replays", async () => {
    const storage = world().storage();
    const run = await start(
      world(),
      async (io) => {
        for (let line = 0; line < 10_000; line++) io.logger.info(`line ${line}`);
        await io.wait("one", 10);
        await io.wait("two", 10);
      },
      { client: { storage } },
    );
    await run.finish();
    const lines = await linesOf(storage, run.id);
    expect(lines.length).toBe(10_000);
    expect(lines.at(-1)?.message).toBe("line 9999");
  });
});
