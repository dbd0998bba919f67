import { expect, test } from "vitest";
import { defineJob, invokeTrigger } from "../../src/index.js";
import { describeEngine } from "./world.js";

const echo = async (payload: unknown) => payload;

describeEngine("delays", (world) => {
  test("a delayed run is PENDING until its time and starts then", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const start = world().clock.now();
    const handle = await client.invoke(job, 1, { delay: "2h" });
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({
      status: "PENDING",
      availableAt: new Date(start + 7_200_000),
      executionCount: 0,
    });
    world().clock.advance({ milliseconds: 7_199_999 });
    await client.drain();
    expect((await client.getRun(handle))?.status).toBe("PENDING");
    world().clock.advance({ milliseconds: 1 });
    expect((await client.getRun(handle))?.status).toBe("QUEUED");
    await client.drain();
    const run = await client.getRun(handle);
    expect(run).toMatchObject({
      status: "COMPLETED",
      createdAt: new Date(start),
      startedAt: new Date(start + 7_200_000),
    });
    expect(run?.availableAt).toBeUndefined();
  });

  test("runAt names the instant; one in the past means now", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const runAt = new Date(world().clock.now() + 86_400_000);
    const later = await client.invoke(job, 1, { runAt });
    const past = await client.invoke(job, 1, { runAt: new Date(0) });
    await client.drain();
    expect(await client.getRun(later)).toMatchObject({ status: "PENDING", availableAt: runAt });
    expect(await client.getRun(past)).toMatchObject({ status: "COMPLETED" });
  });

  test("G20: a delay of twenty years survives the process that asked for it", async () => {
    const job = defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const first = world().client({ jobs: [job] });
    const handle = await first.invoke(job, 1, { delay: "7300d" });
    await first.stop({ timeout: 0 });
    const second = world().client({ jobs: [job] });
    world().clock.advance("7299d");
    await second.drain();
    expect((await second.getRun(handle))?.status).toBe("PENDING");
    world().clock.advance("1d");
    await second.drain();
    expect((await second.getRun(handle))?.status).toBe("COMPLETED");
  });

  test("a delayed child starts at its time, and its parent waits for it", async () => {
    const client = world().client();
    const child = client.defineJob({ id: "child", trigger: invokeTrigger(), run: echo });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.invokeAndWait("c", child, "late", { delay: "1h" }),
    });
    const handle = await client.invoke(parent);
    await client.drain();
    expect((await client.getRun(handle))?.status).toBe("WAITING");
    world().clock.advance("1h");
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ output: { ok: true, output: "late" } });
  });

  test("a started client starts a delayed run when its time comes", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    await client.start();
    const handle = await client.invoke(job, 1, { delay: "10s" });
    const waiting = client.waitForRun(handle);
    await client.drain();
    world().clock.advance("10s");
    await client.drain();
    world().clock.advance("1s");
    expect(await waiting).toMatchObject({ status: "COMPLETED" });
  });
});
