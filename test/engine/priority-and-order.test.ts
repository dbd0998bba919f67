import { expect, test } from "vitest";
import { defineJob, eventTrigger, invokeTrigger } from "../../src/index.js";
import { describeEngine, type World } from "./world.js";

/** One run at a time, so that the order of starts is the order of claims. */
function ordered(world: World, options: { priority?: number } = {}) {
  const order: unknown[] = [];
  const job = defineJob({
    id: "j",
    trigger: invokeTrigger(),
    ...options,
    run: async (payload, io) => {
      await io.runTask("t", () => void order.push(payload));
      if (payload === "parks") {
        await io.wait("hour", "1h");
        order.push("goes on");
      }
    },
  });
  const client = world.client({ concurrency: 1, jobs: [job] });
  return { client, job, order };
}

describeEngine("priority and order", (world) => {
  test("R15: greater priorities go first, equal ones in the order of their creation", async () => {
    const { client, job, order } = ordered(world());
    for (const [payload, priority] of [
      ["a", 0],
      ["low", -5],
      ["high", 10],
      ["b", 0],
      ["higher", 11],
    ] as const) {
      await client.invoke(job, payload, { priority });
      world().clock.advance({ milliseconds: 5 });
    }
    await client.drain();
    expect(order).toEqual(["higher", "high", "a", "b", "low"]);
  });

  test("R15: a job's priority is the default of its runs, an invoke may say otherwise", async () => {
    const { client, job } = ordered(world(), { priority: 5 });
    const own = await client.invoke(job, 1);
    const other = await client.invoke(job, 1, { priority: 0 });
    expect((await client.getRun(own))?.priority).toBe(5);
    expect((await client.getRun(other))?.priority).toBe(0);
    await client.drain();
    expect((await client.getRun(other))?.priority).toBe(0);
  });

  test("R15: an explicit priority of zero stays, also if the sender has no code", async () => {
    const { client } = ordered(world(), { priority: 5 });
    await client.drain();
    const sender = world().client();
    const zero = await sender.invoke("j", 1, { priority: 0 });
    const none = await sender.invoke("j", 1);
    await client.drain();
    expect((await client.getRun(zero))?.priority).toBe(0);
    expect((await client.getRun(none))?.priority).toBe(5);
  });

  test("R15: of equal priority, a run that is under way goes before one that has not started", async () => {
    const { client, job, order } = ordered(world());
    await client.invoke(job, "parks");
    await client.drain();
    await client.invoke(job, "new and due before", { delay: "30m" });
    world().clock.advance("1h");
    await client.drain();
    expect(order).toEqual(["parks", "goes on", "new and due before"]);
  });

  test("R15: one job's backlog does not keep another job from starting within its own slots", async () => {
    const client = world().client({ concurrency: 2 });
    const order: string[] = [];
    const many = client.defineJob({
      id: "many",
      concurrencyLimit: 1,
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        order.push("many");
        await io.runTask("t", () => {});
      },
    });
    const one = client.defineJob({
      id: "one",
      trigger: invokeTrigger(),
      run: async () => {
        order.push("one");
      },
    });
    for (let n = 0; n < 10; n++) await client.invoke(many);
    await client.invoke(one);
    await client.drain();
    expect(order.indexOf("one")).toBeLessThan(3);
    expect(order).toHaveLength(11);
  });

  test("E2: a started worker with a backlog does not let a new run overtake it", async () => {
    const { client, job, order } = ordered(world());
    for (const n of [1, 2, 3]) await client.invoke(job, n);
    await client.start();
    await client.invoke(job, 4);
    await client.drain();
    expect(order).toEqual([1, 2, 3, 4]);
  });

  test("tags: those of the job come first, then those of the invoke, each once", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: eventTrigger({ name: "e" }),
      tags: (payload) => ["job", String(payload)],
      run: async () => {},
    });
    const handle = await client.invoke(job, "x", { tags: ["extra", "job"] });
    const { runIds } = await client.sendEvent({ name: "e", payload: "y" });
    expect((await client.getRun(handle))?.tags).toEqual(["job", "x", "extra"]);
    expect((await client.getRun(runIds[0] ?? ""))?.tags).toEqual(["job", "y"]);
  });
});
