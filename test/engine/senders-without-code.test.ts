import { expect, test } from "vitest";
import { withFaults } from "../../src/adapter-kit/with-faults.js";
import { createClient, defineJob, eventTrigger, invokeTrigger } from "../../src/index.js";
import { turns } from "./drive.js";
import { codeOf, passingTime, until } from "./support.js";
import { describeEngine } from "./world.js";

const echo = async (payload: unknown) => payload;
const hears = (id: string, name = "e") =>
  defineJob({ id, trigger: eventTrigger({ name }), run: echo });

describeEngine("senders without code", (world) => {
  test("an event of a process without jobs starts the registered jobs, before and after their worker stops", async () => {
    const worker = world().client({ jobs: [hears("j")] });
    await worker.drain();
    await worker.stop({ timeout: 0 });
    const sender = world().client();
    const { runIds } = await sender.sendEvent({ name: "e", payload: 5 });
    expect(await sender.getRun(runIds[0] ?? "")).toMatchObject({ jobId: "j", status: "QUEUED" });
    const heir = world().client({ jobs: [hears("j")] });
    await heir.drain();
    expect(await sender.getRun(runIds[0] ?? "")).toMatchObject({ output: 5 });
  });

  test("E1: a job that is registered later is heard of by senders that had looked before", async () => {
    const sender = world().client();
    expect((await sender.sendEvent({ name: "e" })).runIds).toEqual([]);
    const worker = world().client({ jobs: [hears("a")] });
    await worker.drain();
    expect((await sender.sendEvent({ name: "e" })).runIds).toHaveLength(1);
    worker.attach(hears("b"));
    await worker.drain();
    expect((await sender.sendEvent({ name: "e" })).runIds).toHaveLength(2);
  });

  test("E1: of events and registrations at the same time, no event that follows a registration misses it", async () => {
    const sender = world().client();
    await sender.sendEvent({ name: "e" });
    for (let round = 0; round < 10; round++) {
      const worker = world().client({ jobs: [hears(`j${round}`)] });
      const registering = worker.stats();
      const meanwhile = Promise.all([1, 2, 3].map(() => sender.sendEvent({ name: "e" })));
      await registering;
      const { runIds } = await sender.sendEvent({ name: "e" });
      expect(runIds).toHaveLength(round + 1);
      for (const sent of await meanwhile) expect([round, round + 1]).toContain(sent.runIds.length);
    }
  });

  test("E1: a registration whose process died in the middle is completed by the next start", async () => {
    for (const call of [1, 2, 3, 4]) {
      const job = hears(`j${call}`, `e${call}`);
      const sender = world().client();
      await sender.sendEvent({ name: "nobody" });
      const storage = withFaults(world().storage(), [
        { method: "setValue", call, kind: "crash-before" },
      ]);
      const doomed = createClient({ storage, clock: world().clock, jobs: [job] });
      void doomed.drain();
      await turns(100);
      await sender.sendEvent({ name: "nobody" });
      const heir = world().client({ jobs: [job] });
      await heir.drain();
      expect((await sender.sendEvent({ name: `e${call}` })).runIds).toHaveLength(1);
    }
  });

  test("E1: a job attached while the client is registering others is registered, too", async () => {
    const inner = world().storage();
    let onFirstWrite = () => {};
    const storage = new Proxy(inner, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          if (name === "setValue") onFirstWrite();
          return Reflect.apply(member, target, args);
        };
      },
    });
    const client = world().client({ storage, jobs: [hears("a")] });
    onFirstWrite = () => {
      onFirstWrite = () => {};
      client.attach(hears("b"));
    };
    await client.stats();
    await client.stats();
    expect((await world().client().sendEvent({ name: "e" })).runIds).toHaveLength(2);
  });

  test("E1: a job attached to a started client is claimed without a further call", async () => {
    const client = world().client();
    await client.start();
    const sender = world().client();
    client.attach(hears("late"));
    await until(async () => (await sender.sendEvent({ name: "e" })).runIds.length === 1);
    const completed = async () => (await sender.getRuns({ status: "COMPLETED" })).runs.length > 0;
    // Where the store gives no hints the worker's poll finds it.
    await passingTime(world().clock, until(completed));
  });

  test("E1: a job that nobody renewed for 30 days starts nothing; its next worker brings it back", async () => {
    const worker = world().client({ jobs: [hears("j")] });
    await worker.drain();
    await worker.stop({ timeout: 0 });
    const sender = world().client();
    expect((await sender.sendEvent({ name: "e" })).runIds).toHaveLength(1);
    world().clock.advance("31d");
    expect((await sender.sendEvent({ name: "e" })).runIds).toEqual([]);
    expect(await codeOf(sender.invoke("j"))).toBe("JOB_UNKNOWN");
    const heir = world().client({ jobs: [hears("j")] });
    await heir.drain();
    expect((await sender.sendEvent({ name: "e" })).runIds).toHaveLength(1);
  });

  test("E1: a worker that runs for longer than 30 days is not forgotten", async () => {
    const worker = world().client({ jobs: [hears("j")] });
    await worker.start();
    const old = world().client();
    for (let day = 0; day < 40; day++) {
      world().clock.advance("1d");
      await turns();
    }
    expect((await world().client().sendEvent({ name: "e" })).runIds).toHaveLength(1);
    expect((await old.sendEvent({ name: "e" })).runIds).toHaveLength(1);
  });

  test("E1: removeJob drops a registration; a worker that has the job brings it back at its start", async () => {
    const worker = world().client({ jobs: [hears("j")] });
    await worker.drain();
    const sender = world().client();
    await sender.removeJob("j");
    expect((await worker.sendEvent({ name: "e" })).runIds).toEqual([]);
    expect(await codeOf(sender.invoke("j"))).toBe("JOB_UNKNOWN");
    await world()
      .client({ jobs: [hears("j")] })
      .drain();
    expect((await sender.sendEvent({ name: "e" })).runIds).toHaveLength(1);
  });

  test("E1: a new version of a job takes the place of the old one, and a trigger it dropped hears no more", async () => {
    const jobOf = (version: string, name: string) =>
      defineJob({ id: "j", version, trigger: eventTrigger({ name }), run: echo });
    await world()
      .client({ jobs: [jobOf("1.0.0", "old")] })
      .drain();
    const sender = world().client();
    expect((await sender.sendEvent({ name: "old" })).runIds).toHaveLength(1);
    await world()
      .client({ jobs: [jobOf("1.1.0", "new")] })
      .drain();
    expect((await sender.sendEvent({ name: "old" })).runIds).toEqual([]);
    expect((await sender.sendEvent({ name: "new" })).runIds).toHaveLength(1);
  });

  test("E1: a job of the name of an object's own property is a job like any other", async () => {
    for (const id of ["constructor", "__proto__", "toString"]) {
      const sender = world().client();
      expect(await codeOf(sender.invoke(id))).toBe("JOB_UNKNOWN");
      const worker = world().client({
        jobs: [defineJob({ id, trigger: invokeTrigger(), run: echo })],
      });
      const handle = await worker.invoke(id, id);
      await worker.drain();
      expect(await sender.getRun(handle)).toMatchObject({ jobId: id, output: id });
    }
  });
});
