import { expect, test } from "vitest";
import { type Client, defineJob, intervalTrigger, type Storage } from "../../src/index.js";
import { Machine, turns } from "./drive.js";
import { until } from "./support.js";
import { describeEngine, type World } from "./world.js";

/** A job that ticks every second; `ticks` gets the instants. */
function secondly(
  ticks: number[],
  options: { readonly id?: string; readonly seconds?: number } = {},
) {
  const { id = "tick", seconds = 1 } = options;
  return defineJob({
    id,
    trigger: intervalTrigger({ seconds, catchUp: "all" }),
    run: ({ ts }) => {
      ticks.push(ts.getTime());
    },
  });
}

/** Passes a second, and waits until so many ticks have run. */
async function second(world: World, ticks: readonly number[], count = ticks.length + 1) {
  world.clock.advance({ seconds: 1 });
  await until(() => ticks.length >= count);
  await turns();
}

/** The storage, with each run that a claim gave noted. */
function observed(storage: Storage, claimed: string[]): Storage {
  return new Proxy(storage, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (name !== "claimRuns") return typeof value === "function" ? value.bind(target) : value;
      return async (request: Parameters<Storage["claimRuns"]>[0]) => {
        const answer = await target.claimRuns(request);
        claimed.push(...answer.runs.map(({ run }) => run.jobId));
        return answer;
      };
    },
  });
}

function areSeconds(ticks: readonly number[]): boolean {
  return ticks.every((tick, index) => index === 0 || tick - (ticks[index - 1] ?? 0) === 1_000);
}

describeEngine("schedules that tick often", (world) => {
  test("their worker ticks them on the second, without a claim after the first", async () => {
    const ticks: number[] = [];
    const claimed: string[] = [];
    const storage = observed(world().storage(), claimed);
    const client = world().client({ storage, jobs: [secondly(ticks)] });
    await client.start();
    for (let count = 0; count < 20; count++) {
      await second(world(), ticks);
      expect(ticks.at(-1)).toBe(world().clock.now());
    }
    expect(ticks).toHaveLength(20);
    expect(claimed.filter((jobId) => jobId === "$schedule")).toHaveLength(1);
  });

  test("that tick seldom are left to whoever claims them", async () => {
    const ticks: number[] = [];
    const claimed: string[] = [];
    const storage = observed(world().storage(), claimed);
    const client = world().client({ storage, jobs: [secondly(ticks, { seconds: 60 })] });
    await client.start();
    for (let count = 0; count < 5; count++) {
      world().clock.advance({ seconds: 60 });
      await until(() => ticks.length > count);
      await turns();
    }
    expect(claimed.filter((jobId) => jobId === "$schedule")).toHaveLength(5);
  });

  test("G22: another worker has them a moment later once the first is gone, and no tick is lost or doubled", async () => {
    const ticks: number[] = [];
    const first = new Machine(world(), { jobs: [secondly(ticks)] });
    await first.client.start();
    const other = world().client({ jobs: [secondly(ticks)] });
    await other.start();
    for (let count = 0; count < 3; count++) await second(world(), ticks);
    first.freeze();
    // The tick itself passes, and a thirtieth of the lease, which is a second.
    world().clock.advance({ seconds: 1 });
    await turns();
    for (let count = 0; count < 3; count++) await second(world(), ticks);
    first.thaw();
    for (let count = 0; count < 3; count++) await second(world(), ticks);
    expect(areSeconds([...ticks].sort((a, b) => a - b))).toBe(true);
    expect(new Set(ticks).size).toBe(ticks.length);
    await first.client.stop({ timeout: 0 });
  });

  test("are given back by a worker that stops: the next tick comes at its instant", async () => {
    const ticks: number[] = [];
    const first = world().client({ jobs: [secondly(ticks)] });
    await first.start();
    for (let count = 0; count < 3; count++) await second(world(), ticks);
    await first.stop({ timeout: 0 });
    const other = world().client({ jobs: [secondly(ticks)] });
    world().clock.advance({ seconds: 1 });
    await other.drain();
    expect(ticks).toHaveLength(4);
    expect(areSeconds(ticks)).toBe(true);
  });

  test("that somebody else paused tick no more, and go on when they are resumed", async () => {
    const ticks: number[] = [];
    const worker = world().client({ jobs: [secondly(ticks)] });
    await worker.start();
    for (let count = 0; count < 3; count++) await second(world(), ticks);
    const other = world().client();
    await other.pauseSchedule("tick");
    for (let count = 0; count < 5; count++) {
      world().clock.advance({ seconds: 1 });
      await turns();
    }
    expect(ticks).toHaveLength(3);
    await other.resumeSchedule("tick");
    for (let count = 0; count < 3; count++) await second(world(), ticks);
    expect(ticks).toHaveLength(6);
    expect(ticks.every((tick) => (tick - (ticks[0] ?? 0)) % 1_000 === 0)).toBe(true);
  });

  test("that a new version of their job made rare tick at the new instants only", async () => {
    const ticks: number[] = [];
    const old = world().client({ jobs: [secondly(ticks)] });
    await old.start();
    for (let count = 0; count < 3; count++) await second(world(), ticks);
    const later: number[] = [];
    const job = defineJob({
      id: "tick",
      version: "2.0.0",
      trigger: intervalTrigger({ seconds: 30 }),
      run: ({ ts }) => {
        later.push(ts.getTime());
      },
    });
    const fresh: Client = world().client({ jobs: [job] });
    await fresh.start();
    await old.stop({ timeout: 0 });
    for (let count = 0; count < 60; count++) {
      world().clock.advance({ seconds: 1 });
      await turns(20);
    }
    await until(() => later.length === 2);
    expect(ticks).toHaveLength(3);
    expect(later.map((tick) => tick - (ticks[2] ?? 0))).toEqual([30_000, 60_000]);
  });

  test("that lie close together are one commit, and none waits for a minute full of them", async () => {
    const ticks: number[] = [];
    const jobs = Array.from({ length: 50 }, (_, index) => secondly(ticks, { id: `tick${index}` }));
    const client = world().client({ jobs });
    await client.start();
    for (let count = 1; count <= 5; count++) await second(world(), ticks, count * 50);
    expect(ticks).toHaveLength(250);
    expect(new Set(ticks).size).toBe(5);
  });

  test("a tick that the storage refuses is made by the next claim", async () => {
    const ticks: number[] = [];
    let refuses = false;
    const storage = new Proxy(world().storage(), {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (name !== "commit") return typeof value === "function" ? value.bind(target) : value;
        return async (writes: Parameters<Storage["commit"]>[0]) => {
          if (refuses && writes.some(({ runId }) => runId.startsWith("$schedule"))) {
            refuses = false;
            return writes.map(() => ({
              result: "rejected",
              reason: "simulated",
              epoch: 0,
              status: "WAITING",
              inbox: 0,
              leaseUntil: null,
            }));
          }
          return target.commit(writes);
        };
      },
    });
    const client = world().client({ storage, jobs: [secondly(ticks)] });
    await client.start();
    for (let count = 0; count < 3; count++) await second(world(), ticks);
    refuses = true;
    world().clock.advance({ seconds: 1 });
    await turns();
    expect(ticks).toHaveLength(3);
    await second(world(), ticks, 5);
    expect(areSeconds(ticks)).toBe(true);
    expect(world().troubles).toHaveLength(1);
  });
});
