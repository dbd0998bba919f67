import { expect, test } from "vitest";
import { runToEnd } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("yield", (world) => {
  test("I12: ends the execution once per key, and the run goes on at once in a new one", async () => {
    let executions = 0;
    let calls = 0;
    const begin = world().clock.now();
    const run = await runToEnd(world(), async (io) => {
      executions++;
      await io.runTask("once", () => ++calls);
      await io.yield("one");
      await io.yield("two");
      await io.runTask("last", () => ++calls);
      return executions;
    });
    expect(run).toMatchObject({ status: "COMPLETED", output: 3, executionCount: 3 });
    expect(calls).toBe(2);
    expect(world().clock.now()).toBe(begin);
  });

  test("I12: inside a task it ends the execution too, and the task runs again without a new attempt", async () => {
    const attempts: number[] = [];
    const run = await runToEnd(world(), (io) =>
      io.runTask("outer", async (task, inner) => {
        attempts.push(task.attempt);
        await inner.yield("y");
        return "through";
      }),
    );
    expect(run.output).toBe("through");
    expect(attempts).toEqual([1, 1]);
  });

  test("I12: two yields at once end two executions, and tasks beside them are not lost", async () => {
    let calls = 0;
    const run = await runToEnd(world(), async (io) => {
      await Promise.all([io.runTask("task", () => ++calls), io.yield("a"), io.yield("b")]);
      return calls;
    });
    expect(run).toMatchObject({ status: "COMPLETED", output: 1, executionCount: 3 });
  });

  test("an at-most-once task that a yield kept from starting is started by the next execution", async () => {
    let calls = 0;
    const run = await runToEnd(world(), async (io) => {
      const [value] = await Promise.all([
        io.runTask("once", () => ++calls, { mode: "at-most-once" }),
        io.yield("y"),
      ]);
      return value;
    });
    expect(run).toMatchObject({ status: "COMPLETED", output: 1 });
    expect(calls).toBe(1);
  });
});
