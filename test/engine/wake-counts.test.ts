import { intervalTrigger, type Storage } from "pawl";
import { expect, test } from "vitest";
import { jobOf } from "./drive.js";
import { describeEngine } from "./world.js";

/** A storage whose answers to one method are looked at. */
function observed<M extends "listWaiting" | "claimRuns" | "listValues">(
  storage: Storage,
  method: M,
  look: (answer: Awaited<ReturnType<Storage[M]>>, first: unknown) => void,
): Storage {
  return new Proxy(storage, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name !== method) return value.bind(target);
      return async (...args: unknown[]) => {
        const answer = await value.apply(target, args);
        look(answer, args[0]);
        return answer;
      };
    },
  });
}

describeEngine("what an event, a child or a tick costs", (world) => {
  test("E8: of many runs that wait for one name, each for another value, an event looks at its own only", async () => {
    let lookedAt = 0;
    const storage = observed(world().storage(), "listWaiting", (waits) => {
      lookedAt += waits.length;
    });
    const job = jobOf((io, _context, payload) => {
      const { customer } = payload as { customer: number };
      return io.waitForEvent("e", { name: "e", filter: { customer: [customer], paid: [true] } });
    });
    const client = world().client({ storage, jobs: [job] });
    for (let customer = 0; customer < 200; customer++) await client.invoke(job, { customer });
    await client.drain();
    expect((await client.stats()).runs).toEqual({ WAITING: 200 });
    for (const customer of [3, 77, 150, 1_000])
      await client.sendEvent({ name: "e", payload: { customer, paid: true } });
    await client.drain();
    expect((await client.stats()).runs).toEqual({ WAITING: 197, COMPLETED: 3 });
    expect(lookedAt).toBe(3);
  });

  test("T22: many children of one batch, ended by several workers, resume their parent once", async () => {
    const claims = new Map<string, number>();
    const counted = () =>
      observed(world().storage(), "claimRuns", ({ runs }) => {
        for (const { run } of runs) claims.set(run.id, (claims.get(run.id) ?? 0) + 1);
      });
    const child = jobOf((io, _context, payload) => io.runTask("t", () => payload), { id: "child" });
    const parent = jobOf(async (io) => {
      const items = Array.from({ length: 60 }, (_, n) => ({ payload: n }));
      const results = await io.batchInvokeAndWait("all", "child", items);
      return results.map((result) => result.ok && result.output);
    });
    const owner = world().client({ storage: counted(), jobs: [parent, child], concurrency: 7 });
    const helper = world().client({ storage: counted(), jobs: [child], concurrency: 3 });
    const { id } = await owner.invoke(parent, {});
    await Promise.all([owner.drain(), helper.drain()]);
    await owner.drain();
    const output = Array.from({ length: 60 }, (_, n) => n);
    expect(await owner.getRun(id)).toMatchObject({ status: "COMPLETED", output });
    // Once to begin, and once when the last child has ended.
    expect(claims.get(id)).toBe(2);
  });

  test("E15: many ticks that are due at once read what the jobs are only once", async () => {
    const trigger = intervalTrigger({ seconds: 1 });
    const jobs = Array.from({ length: 30 }, (_, n) => jobOf(() => n, { id: `tick${n}`, trigger }));
    await world().client({ jobs }).getSchedules();
    let reads = 0;
    const storage = observed(world().storage(), "listValues", (_values, prefix) => {
      if (prefix === "$job:") reads++;
    });
    const other = world().client({ storage });
    await other.stats();
    reads = 0;
    world().clock.advance(1);
    await other.drain();
    expect((await other.stats()).runs).toEqual({ QUEUED: 30 });
    expect(reads).toBe(1);
  });
});
