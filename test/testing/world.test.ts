import { describe, expect, test } from "vitest";
import { createClient, defineJob, invokeTrigger } from "../../src/index.js";
import { MemoryData, memory } from "../../src/storage/memory/index.js";
import { fakeClock, testWorld, withCrash } from "../../src/testing/index.js";

const trigger = invokeTrigger();

/** Notes when each task runs. */
function daily(times: string[]) {
  return defineJob({
    id: "daily",
    trigger,
    run: async (_payload, io) => {
      for (let n = 0; n < 3; n++) {
        await io.wait(["sleep", n], "1d");
        times.push((await io.now(["now", n])).toISOString().slice(0, 10));
      }
      return times.length;
    },
  });
}

describe("advance", () => {
  test("R18: lets clients execute at every instant that is due on the way", async () => {
    const world = testWorld();
    const times: string[] = [];
    const client = world.client({ jobs: [daily(times)] });
    const run = await client.invoke("daily");
    await world.advance("36h");
    expect(times).toEqual(["2026-01-02"]);
    expect(world.clock.now()).toBe(Date.UTC(2026, 0, 2, 12));
    await world.advance({ days: 300 });
    expect(times).toEqual(["2026-01-02", "2026-01-03", "2026-01-04"]);
    expect((await client.getRun(run))?.status).toBe("COMPLETED");
    await world.close();
  });

  test("drives started clients as well", async () => {
    const world = testWorld({ start: new Date("2027-01-01") });
    const client = world.client({ jobs: [daily([])] });
    await client.start();
    const run = await client.invoke("daily");
    await world.advance("4d");
    expect((await client.getRun(run))?.output).toBe(3);
    await world.close();
  });

  test("lets one client execute what the run of another waits for", async () => {
    const world = testWorld();
    const child = defineJob({ id: "child", trigger, run: (_payload, io) => io.wait("w", "1h") });
    const parent = defineJob({
      id: "parent",
      trigger,
      run: async (_payload, io) => (await io.invokeAndWait("c", child, {})).ok,
    });
    const client = world.client({ jobs: [parent] });
    world.client({ jobs: [child] });
    await world.drain();
    const run = await client.invoke(parent);
    await world.advance("2h");
    expect((await client.getRun(run))?.output).toBe(true);
    await world.close();
  });
});

describe("kill", () => {
  test("leaves the run to another client once the lease is over", async () => {
    const world = testWorld();
    const calls: string[] = [];
    const job = (name: string, hang: boolean) =>
      defineJob({
        id: "job",
        trigger,
        run: async (_payload, io) => {
          await io.runTask("a", () => calls.push(`${name} a`));
          await io.runTask("b", () => {
            calls.push(`${name} b`);
            return hang ? new Promise<never>(() => {}) : 0;
          });
        },
      });
    const first = world.client({ jobs: [job("first", true)], leaseMs: 10_000 });
    const run = await first.invoke("job");
    await first.start();
    while (!calls.includes("first b")) await new Promise((resolve) => setImmediate(resolve));
    world.kill(first);
    const second = world.client({ jobs: [job("second", false)], leaseMs: 10_000 });
    await world.advance("9s");
    expect(calls).toEqual(["first a", "first b"]);
    await world.advance("2s");
    expect(calls).toEqual(["first a", "first b", "second b"]);
    expect((await second.getRun(run))?.status).toBe("COMPLETED");
    await world.close();
  });

  test("takes only clients of the world", () => {
    const stranger = createClient({ storage: memory() });
    expect(() => testWorld().kill(stranger)).toThrow(/a client that this world has made/);
  });
});

describe("withCrash", () => {
  test.each([
    { when: "before", written: 0 },
    { when: "after", written: 1 },
  ] as const)("$when a commit", async ({ when, written }) => {
    const data = new MemoryData();
    const clock = fakeClock();
    let crashed = 0;
    const storage = withCrash(memory({ data }), { commit: 1, when }, () => crashed++);
    const job = defineJob({ id: "a", trigger, run: (_p, io) => io.runTask("t", () => 1) });
    const client = createClient({ storage, clock, jobs: [job] });
    const { id } = await client.invoke(job);
    void client.drain();
    while (crashed === 0) await new Promise((resolve) => setImmediate(resolve));
    const other = memory({ data });
    await other.init({ clock });
    expect((await other.listTasks(id, 0, 1_000)).tasks).toHaveLength(written);
    expect(crashed).toBe(1);
  });
});

describe("the fake clock", () => {
  test("fires timers in order, years apart, and tells when the next is due", () => {
    const clock = fakeClock(0);
    const fired: [string, number][] = [];
    const note = (name: string) => () => fired.push([name, clock.now()]);
    clock.setTimer(100 * 365 * 86_400_000, note("century"));
    clock.setTimer(5, () => clock.setTimer(5, note("nested")));
    clock.setTimer(7, note("seven"));
    const disarm = clock.setTimer(1, note("never"));
    disarm();
    expect(clock.untilNextTimerMs).toBe(5);
    clock.advance({ days: 40_000 });
    expect(fired).toEqual([
      ["seven", 7],
      ["nested", 10],
      ["century", 100 * 365 * 86_400_000],
    ]);
    expect(clock.untilNextTimerMs).toBeUndefined();
    clock.jump({ backMs: 1_000 });
    expect(clock.now()).toBe(40_000 * 86_400_000 - 1_000);
    expect(clock.monotonic()).toBe(40_000 * 86_400_000);
  });
});
