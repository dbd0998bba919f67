import { expect, test } from "vitest";
import { defineJob, eventTrigger, invokeTrigger } from "../../src/index.js";
import { gate, Machine, turns } from "./drive.js";
import { until } from "./support.js";
import { describeEngine } from "./world.js";

const echo = async (payload: unknown) => payload;

describeEngine("ttl", (world) => {
  test("a run that has not started by its ttl is CANCELED with RUN_EXPIRED and never runs", async () => {
    const client = world().client();
    let called = 0;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async () => {
        called++;
      },
    });
    const handle = await client.invoke(job, 1, { ttl: "1h" });
    world().clock.advance("1h");
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({
      status: "CANCELED",
      error: { code: "RUN_EXPIRED" },
      executionCount: 0,
    });
    expect(called).toBe(0);
  });

  test("a run that started in time is not ended by its ttl", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const handle = await client.invoke(job, 1, { ttl: "1h" });
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    expect((await client.getRun(handle))?.status).toBe("COMPLETED");
  });

  test("a worker without the job's code expires the run", async () => {
    const job = defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const sender = world().client({ jobs: [job] });
    const handle = await sender.invoke("j", 1, { ttl: "1m" });
    const stranger = world().client({
      jobs: [defineJob({ id: "other", trigger: invokeTrigger(), run: echo })],
    });
    world().clock.advance("1m");
    await stranger.drain();
    expect(await sender.getRun(handle)).toMatchObject({
      status: "CANCELED",
      error: { code: "RUN_EXPIRED" },
    });
  });

  test("the ttl of a run whose sender has no code goes on while it waits for a slot", async () => {
    let inside = 0;
    const door = gate();
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      concurrencyLimit: 1,
      maxDuration: "10m",
      run: async (_payload, io) =>
        io.runTask("t", () => {
          inside++;
          return door.opened;
        }),
    });
    const worker = world().client({ jobs: [job] });
    await worker.drain();
    const sender = world().client();
    const first = await sender.invoke("j", 1);
    const draining = worker.drain();
    await until(() => inside === 1);
    const second = await sender.invoke("j", 2, { ttl: "5m" });
    const third = await sender.invoke("j", 3);
    await turns();
    world().clock.advance("5m");
    door.open();
    await draining;
    await worker.drain();
    expect(await sender.getRun(first)).toMatchObject({ status: "COMPLETED" });
    expect(await sender.getRun(second)).toMatchObject({
      status: "CANCELED",
      error: { code: "RUN_EXPIRED" },
    });
    expect(await sender.getRun(third)).toMatchObject({ status: "COMPLETED" });
  });

  test("a run that waited long for a slot before its first start keeps its whole maxDuration", async () => {
    const door = gate();
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      concurrencyLimit: 1,
      maxDuration: "10m",
      run: async (payload, io) => {
        if (payload === "first") await io.runTask("t", () => door.opened);
      },
    });
    const worker = world().client({ jobs: [job] });
    await worker.drain();
    const sender = world().client();
    await sender.invoke("j", "first");
    const draining = worker.drain();
    await turns();
    const second = await sender.invoke("j", "second");
    for (let minute = 0; minute < 9; minute++) {
      world().clock.advance("1m");
      await turns();
    }
    door.open();
    await draining;
    await worker.drain();
    expect(await sender.getRun(second)).toMatchObject({ status: "COMPLETED" });
  });

  test("the parent of an expired child is told", async () => {
    const client = world().client();
    client.defineJob({ id: "child", trigger: invokeTrigger(), run: echo });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const result = await io.invokeAndWait("c", "child", 1, { delay: "2h", ttl: "1h" });
        return [result.run.status, !result.ok && (result.error as { code?: string }).code];
      },
    });
    const handle = await client.invoke(parent);
    await client.drain();
    world().clock.advance("1h");
    await client.drain();
    expect((await client.getRun(handle))?.output).toEqual(["CANCELED", "RUN_EXPIRED"]);
  });
});

describeEngine("maxDuration", (world) => {
  test("R6: a run is TIMED_OUT when its wall time is over, also if it is parked", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      maxDuration: "1h",
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const handle = await client.invoke(job);
    await client.drain();
    world().clock.advance("59m");
    await client.drain();
    expect((await client.getRun(handle))?.status).toBe("WAITING");
    world().clock.advance("1m");
    await client.drain();
    expect(await client.getRun(handle, { tasks: true })).toMatchObject({
      status: "TIMED_OUT",
      error: { code: "RUN_TIMED_OUT" },
      tasks: [{ key: "day", status: "CANCELED" }],
    });
    world().clock.advance("1d");
    await client.drain();
    expect((await client.getRun(handle))?.status).toBe("TIMED_OUT");
  });

  test("G24: also when no process was alive at that moment, by a worker without the job's code", async () => {
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      maxDuration: "1h",
      run: async (_payload, io) => io.runTask("t", () => new Promise(() => {})),
    });
    const doomed = new Machine(world(), { jobs: [job] });
    const handle = await doomed.client.invoke("j");
    void doomed.client.drain();
    const reader = world().client();
    await until(async () => (await reader.getRun(handle))?.status === "EXECUTING");
    doomed.freeze();
    world().clock.advance("1d");
    const stranger = world().client({
      jobs: [defineJob({ id: "other", trigger: invokeTrigger(), run: echo })],
    });
    await stranger.drain();
    expect(await stranger.getRun(handle)).toMatchObject({
      status: "TIMED_OUT",
      error: { code: "RUN_TIMED_OUT" },
    });
  });

  test("R6: the signals of a run that times out fire, and what it still does is not recorded", async () => {
    const client = world().client();
    const door = gate();
    let aborted: unknown;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      maxDuration: "1m",
      run: async (_payload, io) =>
        io.runTask("t", async (task) => {
          task.signal.addEventListener("abort", () => {
            aborted = task.signal.reason;
          });
          await door.opened;
          return "too late";
        }),
    });
    const handle = await client.invoke(job);
    await client.start();
    await turns();
    // In steps, so that it keeps its lease: otherwise the run may be taken over before it is ended.
    for (let step = 0; step < 13; step++) {
      world().clock.advance("5s");
      await turns();
    }
    expect((await client.getRun(handle))?.status).toBe("TIMED_OUT");
    expect(aborted).toMatchObject({ code: "RUN_TIMED_OUT" });
    door.open();
    await turns();
    const run = await client.getRun(handle, { tasks: true, taskDetails: true });
    expect(run?.status).toBe("TIMED_OUT");
    expect(run?.tasks?.[0]?.output).toBeUndefined();
  });

  test("R6: maxDuration counts from the first start, not from the creation or a later execution", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: eventTrigger({ name: "e" }),
      maxDuration: "1h",
      run: async (_payload, io) => {
        for (const n of [1, 2, 3]) await io.wait(["w", n], "25m");
      },
    });
    const late = await client.invoke(job, {}, { delay: "1d" });
    world().clock.advance("1d");
    for (let n = 0; n < 3; n++) {
      await client.drain();
      expect((await client.getRun(late))?.status).toBe("WAITING");
      world().clock.advance(n < 2 ? "25m" : "10m");
    }
    await client.drain();
    expect((await client.getRun(late))?.status).toBe("TIMED_OUT");
  });

  test("R6: nothing of a run goes on after its time, also if its wait was due before", async () => {
    const client = world().client();
    let wentOn = 0;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      maxDuration: "2h",
      run: async (_payload, io) => {
        await io.wait("hour", "1h");
        wentOn++;
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    world().clock.advance("3h");
    await client.drain();
    expect((await client.getRun(handle))?.status).toBe("TIMED_OUT");
    expect(wentOn).toBe(0);
  });

  test("R6: the parent of a timed-out child is told", async () => {
    const client = world().client();
    client.defineJob({
      id: "child",
      trigger: invokeTrigger(),
      maxDuration: "1m",
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => (await io.invokeAndWait("c", "child", 1)).run.status,
    });
    const handle = await client.invoke(parent);
    await client.drain();
    world().clock.advance("1m");
    await client.drain();
    expect((await client.getRun(handle))?.output).toBe("TIMED_OUT");
  });

  test("R6: an event run gets its job's maxDuration from the registration, if its sender has no code", async () => {
    const job = defineJob({
      id: "j",
      trigger: eventTrigger({ name: "e" }),
      maxDuration: "1h",
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const worker = world().client({ jobs: [job] });
    await worker.drain();
    const { runIds } = await world().client().sendEvent({ name: "e" });
    await worker.drain();
    world().clock.advance("1h");
    await worker.drain();
    expect((await worker.getRun(runIds[0] ?? ""))?.status).toBe("TIMED_OUT");
  });
});
