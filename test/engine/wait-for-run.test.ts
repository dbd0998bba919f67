import { expect, test } from "vitest";
import { defineJob, invokeTrigger } from "../../src/index.js";
import { gate, turns } from "./drive.js";
import { codeOf, passingTime } from "./support.js";
import { describeEngine } from "./world.js";

describeEngine("waitForRun", (world) => {
  test("resolves with the run in its final state, whatever that is", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (payload) => {
        if (payload === "bad") throw new Error("bad");
        return payload;
      },
    });
    const good = await client.invoke(job, "good");
    const bad = await client.invoke(job, "bad");
    const canceled = await client.invoke(job, "x", { delay: "1h" });
    const waiting = Promise.all([good, bad, canceled].map((run) => client.waitForRun(run)));
    await client.drain();
    await client.cancelRun(canceled);
    expect(await waiting).toMatchObject([
      { status: "COMPLETED", output: "good" },
      { status: "FAILED", error: { message: "bad" } },
      { status: "CANCELED" },
    ]);
    expect(await client.waitForRun(good.id)).toMatchObject({ output: "good" });
  });

  test("learns of an end in another process at its next look", async () => {
    const job = defineJob({ id: "j", trigger: invokeTrigger(), run: async () => "there" });
    const sender = world().client();
    const worker = world().client({ jobs: [job] });
    await worker.drain();
    const handle = await sender.invoke("j");
    const waiting = sender.waitForRun(handle);
    await turns();
    await worker.drain();
    expect(await passingTime(world().clock, waiting)).toMatchObject({ output: "there" });
  });

  test("rejects after its timeout, and the run goes on", async () => {
    const client = world().client();
    const door = gate();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.runTask("t", () => door.opened),
    });
    const handle = await client.invoke(job);
    const draining = client.drain();
    const waiting = codeOf(client.waitForRun(handle, { timeout: "5s" }));
    expect(await passingTime(world().clock, waiting)).toBe("RUN_WAIT_TIMEOUT");
    door.open();
    await draining;
    expect(await client.waitForRun(handle, { timeout: 0 })).toMatchObject({ status: "COMPLETED" });
  });

  test("rejects for an unknown run and for unknown options", async () => {
    const client = world().client();
    expect(await codeOf(client.waitForRun("nobody"))).toBe("RUN_NOT_FOUND");
    expect(await codeOf(client.waitForRun("x", { timeoutMs: 5 } as never))).toBe("OPTION_UNKNOWN");
    expect(await codeOf(client.waitForRun("x", { timeout: "soon" }))).toBe("OPTION_INVALID");
  });

  test("E14: rejects at once with the error of a blocked run", async () => {
    const client = world().client();
    let first = true;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        if (first) await io.runTask("key", () => 1);
        else await io.wait("key", "1d");
        await io.wait("day", "1d");
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    first = false;
    const waiting = codeOf(client.waitForRun(handle));
    const later = world().client({ jobs: [job] });
    await client.stop({ timeout: 0 });
    world().clock.advance("1d");
    await later.drain();
    expect(await codeOf(later.waitForRun(handle))).toBe("NON_DETERMINISM");
    expect(["NON_DETERMINISM", "STORAGE_CLOSED"]).toContain(
      await passingTime(world().clock, waiting),
    );
  });
});
