import { expect, test } from "vitest";
import type { RunRecord } from "../../src/core/storage.js";
import { defineJob, eventTrigger, invokeTrigger, type RunNotification } from "../../src/index.js";
import { gate, Machine } from "./drive.js";
import { numbered, until } from "./support.js";
import { describeEngine, type World } from "./world.js";

/** A job that writes down what its hooks get. */
function observed(heard: [string, RunNotification][], run: (payload: unknown) => unknown) {
  const note = (name: string) => (notification: RunNotification) => {
    heard.push([name, notification]);
  };
  return defineJob({
    id: "j",
    version: "1.0.0",
    trigger: eventTrigger({ name: "e", schema: numbered }),
    tags: ["t"],
    onStart: note("onStart"),
    onSuccess: note("onSuccess"),
    onFailure: note("onFailure"),
    onCancel: note("onCancel"),
    run: async (payload, io) => {
      await io.wait("minute", "1m");
      return run(payload);
    },
  });
}

function names(heard: readonly [string, unknown][]): string[] {
  return heard.map(([name]) => name);
}

/** As they are stored: readers do not see them. */
async function hookRuns(world: World): Promise<readonly RunRecord[]> {
  const storage = world.storage();
  await storage.init({ clock: world.clock });
  const { runs } = await storage.listRuns({ internal: true, jobIds: ["$hook:j"], limit: 10 });
  await storage.close();
  return runs;
}

async function finish(world: World, client: { drain(): Promise<void> }): Promise<void> {
  await client.drain();
  world.clock.advance("1m");
  await client.drain();
}

describeEngine("hooks", (world) => {
  test("D10, C11: onStart and onSuccess are called once, with the facts of the run and real dates", async () => {
    const heard: [string, RunNotification][] = [];
    const client = world().client({ jobs: [observed(heard, () => "out")] });
    const handle = await client.invoke(
      "j",
      { n: 1 },
      { accountId: "acc", context: { c: 1 }, isTest: true },
    );
    const start = new Date(world().clock.now());
    await finish(world(), client);
    expect(names(heard)).toEqual(["onStart", "onSuccess"]);
    expect(heard[1]?.[1]).toMatchObject({
      id: handle.id,
      ok: true,
      status: "COMPLETED",
      job: { id: "j", version: "1.0.0" },
      event: { id: handle.id, name: "invoke", context: { c: 1 } },
      account: { id: "acc" },
      payload: { n: 1 },
      output: "out",
      tags: ["t"],
      isTest: true,
      createdAt: start,
      startedAt: start,
      finishedAt: new Date(start.getTime() + 60_000),
      environment: { slug: "default" },
    });
  });

  test("D10: a failed run calls onFailure with its error", async () => {
    const heard: [string, RunNotification][] = [];
    const job = observed(heard, () => {
      throw new RangeError("too far");
    });
    const client = world().client({ jobs: [job] });
    await client.invoke("j", { n: 1 });
    await finish(world(), client);
    expect(names(heard)).toEqual(["onStart", "onFailure"]);
    expect(heard[1]?.[1]).toMatchObject({
      ok: false,
      status: "FAILED",
      error: { message: "too far" },
    });
    expect(heard[1]?.[1].error).toBeInstanceOf(RangeError);
  });

  test("D10: a cancelled run calls onCancel, also if it is cancelled by a process without the code", async () => {
    for (const canceller of ["own", "foreign"]) {
      const heard: [string, RunNotification][] = [];
      const client = world().client({ jobs: [observed(heard, () => {})] });
      const handle = await client.invoke("j", { n: 1 });
      await client.drain();
      await (canceller === "own" ? client : world().client()).cancelRun(handle);
      await client.drain();
      expect(names(heard)).toEqual(["onStart", "onCancel"]);
      expect(heard[1]?.[1]).toMatchObject({ status: "CANCELED", error: { code: "RUN_CANCELED" } });
      await client.stop({ timeout: 0 });
    }
  });

  test("D10: a process without the code cancels a run of a job that is newer than what it knows: onCancel is called", async () => {
    const stranger = world().client();
    await stranger.getRuns();
    const heard: [string, RunNotification][] = [];
    const client = world().client({ jobs: [observed(heard, () => {})] });
    const handle = await client.invoke("j", { n: 1 });
    await client.drain();
    await stranger.cancelRun(handle);
    await client.drain();
    expect(names(heard)).toEqual(["onStart", "onCancel"]);
  });

  test("D10: a run that times out under a worker without the code calls onFailure", async () => {
    const heard: string[] = [];
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      maxDuration: "1m",
      onFailure: ({ status }) => heard.push(status),
      run: async (_payload, io) => io.wait("day", "1d"),
    });
    const client = world().client({ jobs: [job] });
    await client.invoke(job);
    await client.drain();
    world().clock.advance("1m");
    const stranger = world().client({
      jobs: [defineJob({ id: "other", trigger: invokeTrigger(), run: async () => {} })],
    });
    await stranger.drain();
    await client.drain();
    expect(heard).toEqual(["TIMED_OUT"]);
  });

  test("D10: an invalid payload calls onFailure, whoever found it to be so", async () => {
    const heard: [string, RunNotification][] = [];
    const client = world().client({ jobs: [observed(heard, () => {})] });
    await client.drain();
    await client.sendEvent({ name: "e", payload: { n: "by a sender with the code" } });
    await world()
      .client()
      .sendEvent({ name: "e", payload: { n: "by the claimer" } });
    await client.drain();
    expect(names(heard)).toEqual(["onFailure", "onFailure"]);
    expect(heard.map(([, { status }]) => status)).toEqual(["INVALID_PAYLOAD", "INVALID_PAYLOAD"]);
  });

  test("D10: a crash between the end of the run and its hook loses no hook", async () => {
    const heard: string[] = [];
    const define = () =>
      defineJob({
        id: "j",
        trigger: invokeTrigger(),
        onSuccess: ({ output }) => heard.push(String(output)),
        run: async () => "done",
      });
    const doomed = new Machine(world(), { jobs: [define()] });
    const handle = await doomed.client.invoke("j");
    let isOver = false;
    doomed.client.on("runSucceeded", () => {
      isOver = true;
      doomed.freeze();
    });
    void doomed.client.drain();
    await until(() => isOver);
    expect(heard).toEqual([]);
    const heir = world().client({ jobs: [define()] });
    world().clock.advance("31s");
    await heir.drain();
    expect(await heir.getRun(handle)).toMatchObject({ status: "COMPLETED", executionCount: 1 });
    expect(heard).toEqual(["done"]);
  });

  test("D10: a hook whose process dies while it is called is called again", async () => {
    const heard: string[] = [];
    const define = (onSuccess: () => unknown) =>
      defineJob({ id: "j", trigger: invokeTrigger(), onSuccess, run: async () => {} });
    const doomed = new Machine(world(), {
      jobs: [
        define(() => {
          heard.push("first");
          doomed.freeze();
        }),
      ],
    });
    await doomed.client.invoke("j");
    void doomed.client.drain();
    await until(() => heard.length === 1);
    world().clock.advance("31s");
    const heir = world().client({ jobs: [define(() => heard.push("second"))] });
    await heir.drain();
    expect(heard).toEqual(["first", "second"]);
  });

  test("D10: a hook that throws is called again with backoff, gives up in the end, and changes nothing", async () => {
    let calls = 0;
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      onSuccess: async () => {
        calls++;
        throw new Error("mail server down");
      },
      run: async () => "fine",
    });
    const handle = await client.invoke(job);
    const before = world().clock.now();
    await client.drain();
    expect(calls).toBe(1);
    await client.drain();
    expect(calls).toBe(1);
    for (let minute = 0; minute < 20; minute++) {
      world().clock.advance("1m");
      await client.drain();
    }
    expect(calls).toBe(8);
    expect(await client.getRun(handle)).toMatchObject({
      status: "COMPLETED",
      output: "fine",
      finishedAt: new Date(before),
    });
    expect(world().troubles).toHaveLength(8);
    expect((await client.getRuns()).runs).toHaveLength(1);
  });

  test("D10: a throwing onStart does not keep the run from ending well", async () => {
    const client = world().client();
    const heard: string[] = [];
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      onStart: () => {
        throw new Error("no");
      },
      onSuccess: () => heard.push("success"),
      run: async (_payload, io) => io.runTask("t", () => "out"),
    });
    const handle = await client.invoke(job);
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ status: "COMPLETED", output: "out" });
    expect(heard).toEqual(["success"]);
  });

  test("D10: a hook that takes longer than a lease is called once", async () => {
    const door = gate();
    let calls = 0;
    const define = () =>
      defineJob({
        id: "j",
        trigger: invokeTrigger(),
        onSuccess: async () => {
          calls++;
          await door.opened;
        },
        run: async () => {},
      });
    const client = world().client({ jobs: [define()] });
    const other = world().client({ jobs: [define()] });
    await client.invoke("j");
    const draining = client.drain();
    await until(() => calls === 1);
    for (let step = 0; step < 12; step++) {
      world().clock.advance("10s");
      await until(async () => {
        const [hook] = await hookRuns(world());
        return (hook?.leaseUntil ?? 0) >= world().clock.now() + 20_000;
      });
      await other.drain();
    }
    door.open();
    await draining;
    world().clock.advance("1h");
    await other.drain();
    await client.drain();
    expect(calls).toBe(1);
  });

  test("D10: a hook that kills its process again and again is given up, and hinders no other run", async () => {
    let calls = 0;
    let machine: Machine | undefined;
    const define = () => [
      defineJob({
        id: "j",
        trigger: invokeTrigger(),
        onSuccess: () => {
          calls++;
          machine?.freeze();
        },
        run: async () => {},
      }),
      defineJob({ id: "other", trigger: invokeTrigger(), run: async () => "fine" }),
    ];
    const client = world().client();
    machine = new Machine(world(), { jobs: define() });
    await machine.client.invoke("j");
    for (let life = 0; life < 12; life++) {
      machine = new Machine(world(), { jobs: define() });
      const draining = machine.client.drain();
      const before = calls;
      await until(async () => {
        const [hook] = await hookRuns(world());
        return calls > before || hook?.status === "TIMED_OUT";
      });
      // One that lives on must not take part in what comes.
      if (!machine.isFrozen) await draining;
      world().clock.advance("31s");
    }
    expect(calls).toBe(5);
    machine = new Machine(world(), { jobs: define() });
    const handle = await machine.client.invoke("other");
    await machine.client.drain();
    expect(await client.getRun(handle)).toMatchObject({ output: "fine" });
  });

  test("D10: a retried run calls its hooks anew, and a hook that comes late tells what it was made for", async () => {
    const heard: [string, RunNotification][] = [];
    let fails = true;
    const define = () =>
      observed(heard, () => {
        if (fails) throw new Error("first time");
        return "second time";
      });
    const client = world().client({ jobs: [define()] });
    const handle = await client.invoke("j", { n: 1 });
    await finish(world(), client);
    fails = false;
    await client.retryRun(handle);
    await client.drain();
    expect(names(heard)).toEqual(["onStart", "onFailure", "onSuccess"]);
    expect(heard[1]?.[1]).toMatchObject({ status: "FAILED", ok: false });
    expect(heard[2]?.[1]).toMatchObject({ status: "COMPLETED", ok: true });
  });

  test("D10: a hook that is called after a retry tells how the run had ended before it", async () => {
    const heard: RunNotification[] = [];
    let calls = 0;
    let fails = true;
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      onFailure: (notification) => {
        if (calls++ === 0) throw new Error("not now");
        heard.push(notification);
      },
      run: async () => {
        if (fails) throw new Error("first time");
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    fails = false;
    await client.retryRun(handle);
    await client.drain();
    world().clock.advance("1m");
    await client.drain();
    expect(heard).toMatchObject([
      { ok: false, status: "FAILED", error: { message: "first time" } },
    ]);
  });

  test("D10: a hook may start runs, through the client and through job.invoke", async () => {
    const client = world().client();
    const follow = client.defineJob({
      id: "follow",
      trigger: invokeTrigger(),
      run: async (payload) => payload,
    });
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      onSuccess: async ({ id }) => {
        await client.invoke(follow, "a", { idempotencyKey: `a ${id}` });
        await follow.invoke("b", { idempotencyKey: `b ${id}` });
      },
      run: async () => {},
    });
    await client.invoke(job);
    await client.drain();
    expect(
      (await client.getRuns({ jobId: "follow" })).runs.map((run) => run.output).sort(),
    ).toEqual(["a", "b"]);
    expect(world().troubles).toEqual([]);
  });

  test("D10: hooks of a job are only called by workers that have it", async () => {
    const heard: string[] = [];
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger(),
      onCancel: () => heard.push("canceled"),
      run: async () => {},
    });
    const client = world().client({ jobs: [job] });
    const handle = await client.invoke(job);
    await client.cancelRun(handle);
    const stranger = world().client({
      jobs: [defineJob({ id: "other", trigger: invokeTrigger(), run: async () => {} })],
    });
    await stranger.drain();
    expect(heard).toEqual([]);
    await client.drain();
    expect(heard).toEqual(["canceled"]);
  });
});
