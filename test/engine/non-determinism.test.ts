import type { Client } from "pawl";
import { expect, test } from "vitest";
import { jobOf, start } from "./drive.js";
import { describeEngine, type World } from "./world.js";

/** A run parked on a wait of an hour, recorded by version 1 of its job; its client is stopped. */
async function parkedRun(world: World): Promise<string> {
  const run = await start(
    world,
    async (io) => {
      await io.runTask("step", () => "recorded");
      await io.wait("hour", "1h");
    },
    { job: { version: "1.0.0" } },
  );
  await run.drain();
  await run.client.stop({ timeout: 0 });
  world.clock.advance("1h");
  return run.id;
}

function deploy(world: World, version: string, program: Parameters<typeof jobOf>[0]): Client {
  const client = world.client({ jobs: [jobOf(program, { version })] });
  client.on("runBlocked", () => {});
  return client;
}

describeEngine("non-determinism", (world) => {
  test("E14: a recorded key met by another kind parks the run with the error on it and changes nothing", async () => {
    const id = await parkedRun(world());
    const storage = world().storage();
    await storage.init({ clock: world().clock });
    const before = await storage.listTasks(id, 0, 1e6);
    const blocked: unknown[] = [];
    const client = deploy(world(), "2.0.0", async (io) => {
      await io.wait("step", 60);
      return "wrong";
    });
    client.on("runBlocked", (event) => blocked.push(event));
    await client.drain();
    const run = await client.getRun(id);
    expect(run).toMatchObject({ status: "WAITING", error: { code: "NON_DETERMINISM" } });
    for (const word of [id, '"step"', "task", "wait"]) expect(run?.error?.message).toContain(word);
    expect(run?.availableAt).toEqual(new Date(world().clock.now() + 60_000));
    expect(blocked.length).toBe(1);
    const after = await storage.listTasks(id, 0, 1e6);
    expect(after.tasks).toEqual(before.tasks);
    await expect(client.waitForRun(id)).rejects.toMatchObject({ code: "NON_DETERMINISM" });
  });

  test("E14: a call that is not awaited blocks the run all the same", async () => {
    const id = await parkedRun(world());
    const client = deploy(world(), "2.0.0", async (io) => {
      void io.wait("step", 60);
      return "wrong";
    });
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({
      status: "WAITING",
      error: { code: "NON_DETERMINISM" },
    });
  });

  test("E14: the pauses double from one minute to one hour, and none of them counts as a stall", async () => {
    const id = await parkedRun(world());
    const client = deploy(world(), "2.0.0", (io) => io.wait("step", 60));
    const pauses: number[] = [];
    for (let round = 0; round < 9; round++) {
      await client.drain();
      const pauseMs =
        ((await client.getRun(id))?.availableAt?.getTime() ?? 0) - world().clock.now();
      pauses.push(pauseMs / 60_000);
      world().clock.advance({ milliseconds: pauseMs });
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test("E14: another version of the job claims it at its start and goes on where it was", async () => {
    const id = await parkedRun(world());
    const broken = deploy(world(), "2.0.0", (io) => io.wait("step", 60));
    await broken.drain();
    await broken.stop({ timeout: 0 });
    const fixed = deploy(world(), "2.0.1", async (io) => {
      const step = await io.runTask("step", () => "again");
      await io.wait("hour", "1h");
      return step;
    });
    await fixed.drain();
    const run = await fixed.getRun(id);
    expect(run).toMatchObject({ status: "COMPLETED", output: "recorded" });
    expect(run?.error).toBeUndefined();
  });

  test("E14: retryRun makes a blocked run due at once and is no new attempt", async () => {
    const id = await parkedRun(world());
    const program = { fixed: false };
    const client = deploy(world(), "2.0.0", async (io) => {
      if (program.fixed) return io.runTask("step", () => "again");
      await io.wait("step", 60);
      return "wrong";
    });
    await client.drain();
    program.fixed = true;
    await client.retryRun(id);
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({
      status: "COMPLETED",
      output: "recorded",
      attempt: 1,
    });
  });

  test("G25: new keys, and recorded keys in another order, are no reason to block", async () => {
    const id = await parkedRun(world());
    const client = deploy(world(), "2.0.0", async (io) => {
      await io.wait("hour", "1h");
      const added = await io.runTask("added", () => "new");
      return [added, await io.runTask("step", () => "again")];
    });
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({
      status: "COMPLETED",
      output: ["new", "recorded"],
    });
  });
});
