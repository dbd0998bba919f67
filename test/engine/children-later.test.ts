import { expect, test } from "vitest";
import { defineJob, invokeTrigger } from "../../src/index.js";
import { jobOf } from "./drive.js";
import { codeOf } from "./support.js";
import { describeEngine } from "./world.js";

const keyed = { idempotencyKey: "k" };

describeEngine("children that changed since they ended", (world) => {
  test("a child that was retried before its parent looked is waited for again", async () => {
    let isFixed = false;
    const child = defineJob({
      id: "child",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        if (!isFixed) throw new Error("broken");
        await io.wait("hour", "1h");
        return "fixed";
      },
    });
    const parent = jobOf((io) => io.invokeAndWait("call", "child", {}));
    const parents = world().client({ jobs: [parent] });
    const children = world().client({ jobs: [child] });
    children.on("runFailed", () => {});
    await children.drain();
    const { id } = await parents.invoke(parent, {});
    await parents.drain();
    await children.drain();
    const [failed] = (await children.getRuns({ jobId: "child" })).runs;
    expect(failed?.status).toBe("FAILED");
    isFixed = true;
    await children.retryRun(failed?.id ?? "");
    await parents.drain();
    expect((await parents.getRun(id))?.status).toBe("WAITING");
    await children.drain();
    world().clock.advance("1h");
    await children.drain();
    await parents.drain();
    expect(await parents.getRun(id)).toMatchObject({
      status: "COMPLETED",
      output: { ok: true, output: "fixed", run: { id: failed?.id, status: "COMPLETED" } },
    });
  });

  test("a run of somebody else that was purged before its waiter looked is not found", async () => {
    const seen: unknown[] = [];
    const parent = jobOf(async (io) => {
      seen.push(await codeOf(io.invokeAndWait("call", "child", 1, keyed)));
    });
    const parents = world().client({ jobs: [parent] });
    const children = world().client({
      jobs: [jobOf((io) => io.wait("day", "1d"), { id: "child" })],
    });
    await children.invoke("child", 1, keyed);
    await children.drain();
    const { id } = await parents.invoke(parent, {});
    await parents.drain();
    world().clock.advance("1d");
    await children.drain();
    world().clock.advance("10d");
    expect(await children.purge({ olderThan: "5d" })).toEqual({ purged: 1 });
    await parents.drain();
    expect((await parents.getRun(id))?.status).toBe("COMPLETED");
    expect(seen.at(-1)).toBe("RUN_NOT_FOUND");
  });

  test.for([
    ["a timeout that is none", { timeout: "soon" }],
    ["a delay that is none", { delay: "later" }],
  ] as const)(
    "invokeAndWait with %s rejects in the run and starts nothing",
    async ([, options]) => {
      const client = world().client({
        jobs: [
          jobOf((io) => codeOf(io.invokeAndWait("call", "child", 1, options as never))),
          jobOf(() => 1, { id: "child" }),
        ],
      });
      const { id } = await client.invoke("job", {});
      await client.drain();
      expect(await client.getRun(id)).toMatchObject({ output: "OPTION_INVALID" });
      expect((await client.getRuns({ jobId: "child" })).runs).toEqual([]);
    },
  );

  test.for([
    ["items that are no list", { payload: 1 }, {}],
    ["more items than one batch takes", Array.from({ length: 10_001 }, () => ({ payload: 1 })), {}],
    ["no slots", [{ payload: 1 }], { concurrency: 0 }],
    ["an unknown option", [{ payload: 1 }], { slots: 1 }],
  ] as const)(
    "a batch with %s rejects in the run and starts nothing",
    async ([, items, options]) => {
      const client = world().client({
        jobs: [
          jobOf(async (io) =>
            String(
              await codeOf(io.batchInvokeAndWait("all", "child", items as never, options as never)),
            ),
          ),
          jobOf(() => 1, { id: "child" }),
        ],
      });
      const { id } = await client.invoke("job", {});
      await client.drain();
      expect(await client.getRun(id)).toMatchObject({ output: expect.stringMatching(/^OPTION_/) });
      expect((await client.getRuns({ jobId: "child" })).runs).toEqual([]);
    },
  );
});
