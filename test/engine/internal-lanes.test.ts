import { expect, test } from "vitest";
import { defineJob, eventTrigger, intervalTrigger } from "../../src/index.js";
import { gate, jobOf, turns } from "./drive.js";
import { until } from "./support.js";
import { describeEngine } from "./world.js";

const LANE = 8;

describeEngine("E11: a worker with one slot", (world) => {
  test("calls eight hooks at a time, and while they hang delivers events and ticks all the same", async () => {
    const door = gate();
    let active = 0;
    let most = 0;
    let called = 0;
    const hooked = jobOf(() => 1, {
      onSuccess: async () => {
        most = Math.max(most, ++active);
        await door.opened;
        active--;
        called++;
      },
    });
    const heard: string[] = [];
    const hears = defineJob({
      id: "hears",
      trigger: eventTrigger({ name: "e" }),
      run: async () => void heard.push("event"),
    });
    const ticks = defineJob({
      id: "ticks",
      trigger: intervalTrigger({ seconds: 60 }),
      run: async () => void heard.push("tick"),
    });
    const client = world().client({ concurrency: 1, jobs: [hooked, hears, ticks] });
    await client.start();
    for (let n = 0; n < 3 * LANE; n++) await client.invoke(hooked, n);
    await until(async () => (await client.stats()).runs.COMPLETED === 3 * LANE);
    await turns();
    const hanging = active;
    if (hanging !== LANE) door.open();
    expect(hanging).toBe(LANE);
    await client.sendEvent({ name: "e" }, { deliverAfter: 60 });
    world().clock.advance(5);
    await turns();
    // In steps, so that the hooks keep their leases.
    for (let step = 0; step < 11; step++) {
      world().clock.advance(5);
      await turns();
    }
    await until(() => heard.length === 2);
    expect(heard.sort()).toEqual(["event", "tick"]);
    door.open();
    await until(() => called === 3 * LANE);
    expect(most).toBe(LANE);
  });

  test("delivers eight events at a time, also with all slots taken, and all of them in the end", async () => {
    const doors = { slot: gate(), creation: gate() };
    const storage = world().storage();
    const createRuns = storage.createRuns.bind(storage);
    let isSlow = false;
    storage.createRuns = async (elements) => {
      if (isSlow) await doors.creation.opened;
      return createRuns(elements);
    };
    const job = jobOf((io) => io.runTask("long", () => doors.slot.opened));
    const client = world().client({ concurrency: 1, storage, jobs: [job] });
    await client.start();
    await client.invoke(job, {});
    const ids = Array.from({ length: 5 * LANE }, (_, n) => `e${n}`);
    const events = ids.map((id) => ({ name: "e", id }));
    await client.sendEvents(events, { deliverAfter: 5 });
    isSlow = true;
    world().clock.advance(5);
    const executing = async () => {
      const query = { jobIds: ["$delayed"], internal: true, limit: 100 };
      const { runs } = await storage.listRuns({ ...query, statuses: ["EXECUTING"] });
      return runs.length;
    };
    await until(async () => (await executing()) >= LANE);
    await turns();
    const delivering = await executing();
    doors.creation.open();
    doors.slot.open();
    expect(delivering).toBe(LANE);
    await until(async () => {
      const views = await Promise.all(ids.map((id) => client.getEvent(id)));
      return views.every((view) => view?.deliveredAt !== undefined);
    });
  });
});
