import { expect, test } from "vitest";
import { defineJob, eventTrigger, type Io, invokeTrigger } from "../../src/index.js";
import { gate, Machine, turns } from "./drive.js";
import { numbered, until } from "./support.js";
import { describeEngine, type World } from "./world.js";

function jobOf(run: (io: Io, payload: unknown) => unknown, options: object = {}) {
  return defineJob({
    id: "j",
    trigger: invokeTrigger(),
    ...options,
    run: async (payload, io) => run(io, payload),
  });
}

async function parked(world: World, run: (io: Io) => unknown) {
  const client = world.client({ jobs: [jobOf(run)] });
  const { id } = await client.invoke("j");
  await client.drain();
  return { client, id, text: await client.explainRun(id) };
}

describeEngine("explainRun", (world) => {
  test("1: a wait names its task and its instant", async () => {
    const { text } = await parked(world(), (io) => io.wait("pause", "1h"));
    expect(text).toContain('"pause"');
    expect(text).toContain("2026-01-01T01:00:00.000Z");
  });

  test("2: a retry names the task, the attempt and its error", async () => {
    const { text } = await parked(world(), (io) =>
      io.runTask(
        "flaky",
        () => {
          throw new Error("gateway down");
        },
        { retry: { limit: 3 } },
      ),
    );
    expect(text).toMatch(/retry task "flaky".*attempt 1 failed: gateway down/);
  });

  test("3: a delayed task names its instant", async () => {
    const { text } = await parked(world(), (io) =>
      io.runTask("later", () => 1, { delayUntil: new Date(Date.UTC(2026, 0, 3)) }),
    );
    expect(text).toMatch(/"later".*delayed until 2026-01-03/);
  });

  test("4: a parent names the child that it waits for, and the child's status", async () => {
    const client = world().client();
    client.defineJob({
      id: "child",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.invokeAndWait("call", "child", {}),
    });
    const { id } = await client.invoke(parent);
    await client.drain();
    const [child] = (await client.getRuns({ jobId: "child" })).runs;
    const text = await client.explainRun(id);
    expect(text).toContain(child?.id);
    expect(text).toContain("WAITING");
  });

  test("5: a delayed run names its instant", async () => {
    const client = world().client({ jobs: [jobOf(() => 1)] });
    const { id } = await client.invoke("j", {}, { delay: "2h" });
    expect(await client.explainRun(id)).toMatch(/delayed until 2026-01-01T02:00:00.000Z/);
  });

  test("6: a due run without a free worker says since when, and for which job", async () => {
    const client = world().client({ jobs: [jobOf(() => 1)] });
    const { id } = await client.invoke("j");
    expect(await client.explainRun(id)).toMatch(/due since .* free worker with job "j"/);
  });

  test("7: a run held by a concurrency limit names the limit and the holder", async () => {
    const door = gate();
    const client = world().client({
      jobs: [jobOf((io) => io.runTask("t", () => door.opened), { concurrencyLimit: 1 })],
    });
    const holder = await client.invoke("j");
    const { id } = await client.invoke("j");
    const draining = client.drain();
    await until(async () => (await client.getRun(holder))?.status === "EXECUTING");
    const text = await client.explainRun(id);
    expect(text).toContain("concurrency limit");
    expect(text).toContain(holder.id);
    door.open();
    await draining;
  });

  test("8: a run whose job nobody has registered any more says so", async () => {
    const client = world().client({ jobs: [jobOf(() => 1)] });
    const { id } = await client.invoke("j");
    await client.removeJob("j");
    expect(await world().client().explainRun(id)).toMatch(/no process has registered job "j"/);
  });

  test("9: a run that executes names its worker and the end of its lease", async () => {
    const door = gate();
    const client = world().client({ jobs: [jobOf((io) => io.runTask("t", () => door.opened))] });
    const { id } = await client.invoke("j");
    const draining = client.drain();
    await until(async () => (await client.getRun(id))?.status === "EXECUTING");
    expect(await client.explainRun(id)).toMatch(/being executed by worker .* lease runs until/);
    door.open();
    await draining;
  });

  test("10: a run whose worker died names it and when its lease ended", async () => {
    let isInside = false;
    const jobs = [
      jobOf((io) =>
        io.runTask("t", () => {
          isInside = true;
          return new Promise<void>(() => {});
        }),
      ),
    ];
    const doomed = new Machine(world(), { jobs });
    const { id } = await doomed.client.invoke("j");
    void doomed.client.drain();
    await until(() => isInside);
    doomed.freeze();
    const client = world().client();
    world().clock.advance("31s");
    expect(await client.explainRun(id)).toMatch(
      /left by worker .* lease ended at 2026-01-01T00:00:30/,
    );
  });

  test("11: a run that stalls again and again says how often", async () => {
    const life = async () => {
      const doomed: Machine = new Machine(world(), {
        jobs: [jobOf((io) => io.runTask("killer", () => doomed.freeze()))],
      });
      void doomed.client.drain();
      await turns(100);
      world().clock.advance("31s");
    };
    const client = world().client({ jobs: [jobOf(() => 1)] });
    const { id } = await client.invoke("j");
    for (let n = 0; n < 3; n++) await life();
    expect(await client.explainRun(id)).toMatch(/2 executions in a row|without recording/);
  });

  test("12: a blocked run names the version, the error and when it is tried again", async () => {
    let first = true;
    const jobs = [
      jobOf(async (io) => {
        if (first) await io.runTask("key", () => 1);
        else await io.wait("key", "1d");
        await io.wait("hour", "1h");
      }),
    ];
    const client = world().client({ jobs });
    const { id } = await client.invoke("j");
    await client.drain();
    await client.stop({ timeout: 0 });
    first = false;
    world().clock.advance("1h");
    const other = world().client({ jobs });
    await other.drain();
    expect(await other.explainRun(id)).toMatch(
      /blocked under version 0.0.0.*"key".*tried again at 2026-01-01T01:01/,
    );
  });

  test("13: the ends name their cause and what to do", async () => {
    const client = world().client({
      jobs: [
        jobOf(
          async (io, payload) => {
            if (payload === "fail") throw new Error("broken pipe");
            if (payload === "slow") await io.wait("day", "1d");
          },
          { maxDuration: "1h" },
        ),
      ],
    });
    client.defineJob({
      id: "strict",
      trigger: eventTrigger({ name: "e", schema: numbered }),
      run: async () => {},
    });
    const invoke = async (payload: string) => (await client.invoke("j", payload)).id;
    const [done, failed, canceled, late] = [
      await invoke("ok"),
      await invoke("fail"),
      await invoke("x"),
      await invoke("slow"),
    ];
    const invalid = (await client.sendEvent({ name: "e", payload: 1 })).runIds[0] ?? "";
    await client.cancelRun(canceled);
    await client.drain();
    world().clock.advance("1h");
    await client.drain();
    expect(await client.explainRun(done)).toMatch(/completed at .*replayRun/);
    expect(await client.explainRun(failed)).toMatch(/failed at .*broken pipe.*retryRun/);
    expect(await client.explainRun(canceled)).toMatch(/cancelled at .*retryRun/);
    expect(await client.explainRun(late)).toMatch(/timed out at .*maxDuration.*retryRun/);
    expect(await client.explainRun(invalid)).toMatch(/never ran.*schema.*replayRun/);
  });

  test("14: each answer is one line that names the run", async () => {
    const { id, text } = await parked(world(), (io) => io.wait("pause", "1h"));
    expect(text).toContain(id);
    expect(text).not.toContain("\n");
  });
});
