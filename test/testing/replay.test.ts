import { describe, expect, test, vi } from "vitest";
import { defineJob, invokeTrigger } from "../../src/index.js";
import { testJob } from "../../src/testing/index.js";

const trigger = invokeTrigger();

/** Counts the calls of each task's callback. */
function counted() {
  const calls: Record<string, number> = {};
  const job = defineJob({
    id: "counted",
    trigger,
    run: async (_payload, io) => {
      const seen: string[] = [];
      const step = (key: string) => () => {
        calls[key] = (calls[key] ?? 0) + 1;
        return key;
      };
      for (const key of ["a", "b", "c"]) seen.push(await io.runTask(key, step(key)));
      await io.wait("pause", "30d");
      seen.push(await io.runTask("outer", async (_task, inner) => inner.runTask("in", step("in"))));
      seen.push(await io.runTask("last", step("last")));
      return seen;
    },
  });
  return { job, calls };
}

const expected = ["a", "b", "c", "in", "last"];
const once = { a: 1, b: 1, c: 1, in: 1, last: 1 };

describe("replay after every task", () => {
  test("gives the same result and calls no task twice", async () => {
    const { job, calls } = counted();
    const { output, crashes, run } = await testJob(job, { replay: "every-task" });
    expect(output).toEqual(expected);
    expect(calls).toEqual(once);
    expect(crashes).toBeGreaterThanOrEqual(6);
    expect(run.executionCount).toBeGreaterThan(crashes);
  });

  test("finds code outside of tasks that differs each time", async () => {
    const random = vi.fn(() => ["left", "right"][random.mock.calls.length % 2]);
    const job = defineJob({
      id: "random",
      trigger,
      run: async (_payload, io) => {
        const side = random();
        await io.runTask("look", () => side);
        return side === "left" ? io.runTask("go", () => side) : io.uuid("go");
      },
    });
    await expect(testJob(job, { replay: "every-task" })).rejects.toMatchObject({
      code: "NON_DETERMINISM",
    });
  });

  test("leaves a run that fails as it is", async () => {
    const job = defineJob({
      id: "fails",
      trigger,
      run: async (_payload, io) => {
        await io.runTask("a", () => 1);
        throw new Error("after a");
      },
    });
    const { status, error } = await testJob(job, { replay: "every-task" });
    expect({ status, message: error?.message }).toEqual({ status: "FAILED", message: "after a" });
  });
});

describe("a crash before or after any commit", () => {
  test("changes neither the result nor which tasks are recorded", async () => {
    const { commits } = await testJob(counted().job);
    expect(commits).toBeGreaterThan(5);
    let repeated = 0;
    for (let commit = 1; commit <= commits; commit++) {
      for (const when of ["before", "after"] as const) {
        const { job, calls } = counted();
        const result = await testJob(job, { crash: { commit, when } });
        expect(result).toMatchObject({ status: "COMPLETED", output: expected, crashes: 1 });
        const extra = Object.values(calls).reduce((sum, n) => sum + n, 0) - expected.length;
        // What was recorded is not called again; only the task in flight is.
        expect(extra).toBeLessThanOrEqual(when === "before" ? 1 : 0);
        repeated += extra;
      }
    }
    expect(repeated).toBeGreaterThanOrEqual(expected.length);
  });
});
