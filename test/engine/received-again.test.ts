import { expect, test } from "vitest";
import { z } from "zod";
import type { Io } from "../../src/index.js";
import { start } from "./drive.js";
import { codeOf } from "./support.js";
import { describeEngine } from "./world.js";

/** Takes `{ n: 1 }` and refuses `{}`. */
const paid = { name: "paid", schema: z.object({ n: z.number() }) };
const nextPaid = async (io: Io, key: string) => (await io.waitForEvent(key, paid)).id;

describeEngine("E8: an event that its wait could not take", (world) => {
  const hour = async (run: Awaited<ReturnType<typeof start>>) => {
    world().clock.advance("1h");
    return run.drain();
  };

  test("was received all the same: the wait of a retried run gets the next one", async () => {
    const run = await start(world(), async (io) => {
      const [id] = await Promise.all([nextPaid(io, "wait"), io.wait("hour", "1h")]);
      return [id, await codeOf(io.waitForEvent("other", paid, { timeout: "1h" }))];
    });
    await run.drain();
    await run.client.sendEvent({ name: "paid", id: "bad", payload: {} });
    expect((await run.drain()).status).toBe("FAILED");
    await run.client.retryRun(run.id);
    expect((await run.drain()).status).toBe("WAITING");
    // With no frame kept, this is a replay.
    expect((await hour(run)).status).toBe("WAITING");
    await run.client.sendEvent({ name: "paid", id: "good", payload: { n: 1 } });
    expect((await run.drain()).status).toBe("WAITING");
    expect((await hour(run)).output).toEqual(["good", "WAIT_TIMEOUT"]);
  });

  test("stays received through any number of retries, also if the wait timed out meanwhile", async () => {
    const run = await start(world(), async (io) => {
      const wait = io.waitForEvent("wait", paid, { timeout: "2h" });
      const [{ id }] = await Promise.all([wait, io.wait("hour", "1h")]);
      return id;
    });
    await run.drain();
    await run.client.sendEvent({ name: "paid", id: "bad", payload: {} });
    await run.drain();
    for (const _ of ["first", "second"]) {
      await run.client.retryRun(run.id);
      await run.drain();
      await hour(run);
      expect((await hour(run)).status).toBe("FAILED");
    }
    await run.client.retryRun(run.id);
    await run.drain();
    expect((await hour(run)).status).toBe("WAITING");
    await run.client.sendEvent({ name: "paid", id: "good", payload: { n: 1 } });
    expect((await run.drain()).output).toBe("good");
  });

  test("is not received again by the next attempt of the task around the wait", async () => {
    const run = await start(world(), (io) =>
      io.runTask("outer", (_task, inner) => nextPaid(inner, "wait"), {
        retry: { limit: 3, minTimeoutInMs: 60_000, randomize: false },
      }),
    );
    await run.drain();
    await run.client.sendEvent({ name: "paid", id: "bad", payload: {} });
    await run.drain();
    expect((await hour(run)).status).toBe("WAITING");
    await run.client.sendEvent({ name: "paid", id: "good", payload: { n: 1 } });
    expect((await run.drain()).output).toBe("good");
  });
});
