import { expect, test } from "vitest";
import type { Storage } from "../../src/index.js";
import { type Gate, gate, jobOf, turns } from "./drive.js";
import { until } from "./support.js";
import { describeEngine } from "./world.js";

/** A storage whose answers to claims wait for the gates that a test puts up, one gate each. */
function gatedClaims(storage: Storage) {
  const gates: Gate[] = [];
  const state = { waiting: 0 };
  const claimRuns: Storage["claimRuns"] = async (request) => {
    const answer = await storage.claimRuns(request);
    const door = gates.shift();
    if (door !== undefined) {
      state.waiting++;
      await door.opened;
    }
    return answer;
  };
  const gated = new Proxy(storage, {
    get(target, name) {
      const value: unknown = name === "claimRuns" ? claimRuns : Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { storage: gated, gates, state };
}

describeEngine("E2: a run that starts directly", (world) => {
  test("overtakes no run that waits, when a slot becomes free while only internal runs are claimed", async () => {
    const { storage, gates, state } = gatedClaims(world().storage());
    const busy = gate();
    const order: unknown[] = [];
    const job = jobOf(async (io, _context, payload) => {
      order.push(payload);
      await io.runTask("work", () => (payload === "first" ? busy.opened : undefined));
    });
    const client = world().client({ storage, jobs: [job], concurrency: 1 });
    await client.start();
    await client.invoke(job, "first");
    await until(() => order.length === 1);
    await turns();
    await world().client().invoke("job", "waits");
    const doors = [gate(), gate()];
    gates.push(...doors);
    await until(() => {
      world().clock.advance(1);
      return state.waiting === 1;
    });
    busy.open();
    await until(async () => (await client.stats()).runs.COMPLETED === 1);
    doors[0]?.open();
    await until(() => state.waiting === 2);
    await client.invoke(job, "last");
    await turns();
    doors[1]?.open();
    await until(() => order.length === 3);
    expect(order).toEqual(["first", "waits", "last"]);
  });
});
