import { expect, test } from "vitest";
import {
  type Context,
  type DynamicSchedule,
  defineJob,
  invokeTrigger,
  type ScheduledPayload,
} from "../../src/index.js";
import { Machine } from "./drive.js";
import { codeOf, thrownCode, until } from "./support.js";
import { describeEngine } from "./world.js";

const MINUTE = 60_000;

interface Tick {
  readonly job: string;
  readonly minute: number;
  readonly source: Context["source"];
  readonly account: string | undefined;
}

describeEngine("dynamic schedules", (world) => {
  /** A client with a dynamic schedule that is the trigger of jobs with these ids. */
  function reporting(...jobIds: string[]) {
    const client = world().client();
    const schedule = client.defineDynamicSchedule({ id: "reports" });
    const ticks: Tick[] = [];
    const from = world().clock.now();
    for (const id of jobIds) {
      client.defineJob({
        id,
        trigger: schedule,
        run: async ({ ts }: ScheduledPayload, _io, { source, account }) => {
          ticks.push({
            job: id,
            minute: (ts.getTime() - from) / MINUTE,
            source,
            account: account?.id,
          });
        },
      });
    }
    const pass = async (minutes: number) => {
      for (let minute = 0; minute < minutes; minute++) {
        world().clock.advance(60);
        await client.drain();
      }
    };
    const minutes = (key: string) =>
      ticks.filter(({ source }) => source?.id === key).map(({ minute }) => minute);
    return { client, schedule, ticks, pass, minutes };
  }

  test("T17: each registered schedule starts a run of each job, with its key, metadata and account", async () => {
    const { schedule, ticks, pass } = reporting("a", "b");
    await schedule.register("k", { seconds: 120 }, { metadata: { n: 1n }, accountId: "c1" });
    await pass(2);
    const source = { id: "k", metadata: { n: 1n } };
    expect(ticks.sort((x, y) => (x.job < y.job ? -1 : 1))).toEqual([
      { job: "a", minute: 2, source, account: "c1" },
      { job: "b", minute: 2, source, account: "c1" },
    ]);
  });

  test("T17: keys belong to their dynamic schedule, and registering one again changes it", async () => {
    const { client, schedule, pass, minutes } = reporting("a");
    const other = client.defineDynamicSchedule({ id: "others" });
    await schedule.register("k", { seconds: 60 });
    await other.register("k", { seconds: 7 * 60 });
    await pass(2);
    await schedule.register("k", { seconds: 3 * 60 }, { metadata: "new" });
    await pass(3);
    expect(minutes("k")).toEqual([1, 2, 5]);
    expect(await schedule.list()).toMatchObject([{ key: "k", metadata: "new" }]);
    expect(await other.list()).toMatchObject([{ schedule: { seconds: 420 } }]);
  });

  test("T17: unregistered it ticks no more, and registered again it begins anew", async () => {
    const { schedule, pass, minutes } = reporting("a");
    await schedule.register("k", { seconds: 60 });
    await pass(1);
    expect(await schedule.unregister("k")).toBe(true);
    expect(await schedule.unregister("k")).toBe(false);
    expect(await schedule.unregister("nobody")).toBe(false);
    expect(await schedule.list()).toEqual([]);
    await pass(3);
    await schedule.register("k", { cron: "*/2 * * * *" });
    await pass(2);
    expect(minutes("k").slice(0, 1)).toEqual([1]);
    expect(minutes("k")).toHaveLength(2);
  });

  test("T17: they are listed by key, with their next and last ticks", async () => {
    const { client, schedule, pass } = reporting("a");
    await schedule.register("b", { cron: "0 0 1 1 *", timezone: "Asia/Tokyo" }, { accountId: "c" });
    await schedule.register("a", { seconds: 60 });
    await pass(1);
    const now = world().clock.now();
    expect(await schedule.list()).toEqual([
      {
        id: "reports/a",
        key: "a",
        schedule: { type: "interval", seconds: 60 },
        metadata: undefined,
        paused: false,
        next: new Date(now + MINUTE),
        last: new Date(now),
      },
      {
        id: "reports/b",
        key: "b",
        schedule: { type: "cron", cron: "0 0 1 1 *", timezone: "Asia/Tokyo" },
        metadata: undefined,
        accountId: "c",
        paused: false,
        next: new Date("2026-12-31T15:00:00Z"),
      },
    ]);
    expect(await client.getSchedules()).toEqual([]);
  });

  test("T17: one that is paused is listed as paused and without a next tick, also when it is changed", async () => {
    const { client, schedule, pass, minutes } = reporting("a");
    await schedule.register("k", { seconds: 60 });
    await pass(1);
    await client.pauseSchedule("reports/k");
    await schedule.register("k", { seconds: 60 }, { metadata: "new" });
    const [paused] = await schedule.list();
    expect(paused).toMatchObject({ key: "k", paused: true, metadata: "new" });
    expect(paused).not.toHaveProperty("next");
    await pass(2);
    expect(minutes("k")).toEqual([1]);
    await client.resumeSchedule("reports/k");
    const next = new Date(world().clock.now() + MINUTE);
    expect(await schedule.list()).toMatchObject([{ paused: false, next }]);
    await pass(1);
    expect(minutes("k")).toEqual([1, 4]);
  });

  test("T17: inside a run register and unregister are remembered, and done once", async () => {
    const { client, schedule, pass, minutes } = reporting("a");
    let executions = 0;
    const job = defineJob({
      id: "setup",
      trigger: invokeTrigger(),
      run: async (_, io) => {
        executions++;
        await schedule.register("k", { seconds: 60 });
        await io.wait("three", "3m 30s");
        const was = await schedule.unregister("k");
        await io.wait("more", "1m");
        return was;
      },
    });
    client.attach(job);
    const { id } = await client.invoke(job, {});
    await client.drain();
    await pass(6);
    const run = await client.getRun(id, { tasks: true });
    expect(run).toMatchObject({ status: "COMPLETED", output: true });
    expect(run?.tasks?.map(({ path }) => path)).toEqual([
      '["reports","k","register"]',
      "three",
      '["reports","k","unregister"]',
      "more",
    ]);
    expect(executions).toBe(world().maxParked > 0 ? 1 : 3);
    expect(minutes("k")).toEqual([1, 2, 3, 4].slice(0, minutes("k").length));
    expect(minutes("k").length).toBeGreaterThanOrEqual(3);
  });

  test.each([
    ["stays ended", false],
    ["and registered by somebody else meanwhile stays registered", true],
  ])(
    "T17: what a run unregistered before its process crashed was there, %s",
    async (_title, registersAgain) => {
      const setup = (schedule: DynamicSchedule) =>
        defineJob({
          id: "setup",
          trigger: invokeTrigger(),
          run: async () => [await schedule.unregister("k"), await schedule.unregister("other")],
        });
      const doomed = new Machine(world(), {});
      const doomedSchedule = doomed.client.defineDynamicSchedule({ id: "reports" });
      doomed.client.attach(setup(doomedSchedule));
      await doomedSchedule.register("k", { seconds: 60 });
      const { id } = await doomed.client.invoke("setup");
      doomed.dieAtCommit(3);
      void doomed.client.drain();
      await until(() => doomed.isFrozen);
      const { client, schedule } = reporting();
      expect(await schedule.list()).toEqual([]);
      if (registersAgain) await schedule.register("k", { seconds: 120 });
      world().clock.advance("31s");
      client.attach(setup(schedule));
      await client.drain();
      expect(await client.getRun(id)).toMatchObject({ output: [true, false], executionCount: 2 });
      expect(await schedule.list()).toHaveLength(registersAgain ? 1 : 0);
    },
  );

  test("T17: one that was purged can be registered again, also by several at once, and has ticks of its own", async () => {
    const { client, schedule, pass, minutes } = reporting("a");
    const other = world().client().defineDynamicSchedule({ id: "reports" });
    for (const seconds of [60, 120, 180]) {
      await Promise.all([schedule, other].map((each) => each.register("k", { seconds })));
      expect(await schedule.list()).toMatchObject([{ key: "k", schedule: { seconds } }]);
      await pass(6);
      expect(await other.unregister("k")).toBe(true);
      expect(await schedule.unregister("k")).toBe(false);
      expect(await schedule.list()).toEqual([]);
      world().clock.advance(1);
      await client.purge({ olderThan: 0 });
    }
    expect(minutes("k")).toHaveLength(6 + 3 + 2);
    expect(await schedule.unregister("k")).toBe(false);
  });

  test("ticks without a job pass, and the first job that comes gets the next one", async () => {
    const { client, schedule, ticks, pass } = reporting();
    await schedule.register("k", { seconds: 60 });
    await pass(2);
    client.defineJob({
      id: "late",
      trigger: schedule,
      run: async (_, _io, { source }) => {
        ticks.push({ job: "late", minute: 0, source, account: undefined });
      },
    });
    await pass(1);
    expect(ticks).toHaveLength(1);
  });

  test("what cannot be is refused before anything is stored", async () => {
    const { client, schedule } = reporting("a");
    expect(thrownCode(() => client.defineDynamicSchedule({ id: "a b" }))).toBe("JOB_ID_INVALID");
    expect(await codeOf(schedule.register("", { seconds: 60 }))).toBe("OPTION_INVALID");
    expect(await codeOf(schedule.register("k", { seconds: 0 }))).toBe("OPTION_INVALID");
    expect(await codeOf(schedule.register("k", { cron: "never" }))).toBe("TRIGGER_INVALID");
    expect(await codeOf(schedule.register("k", undefined as never))).toBe("TRIGGER_INVALID");
    const metadata = () => 1;
    expect(await codeOf(schedule.register("k", { seconds: 60 }, { metadata }))).toBe(
      "VALUE_NOT_SERIALIZABLE",
    );
    expect(await schedule.list()).toEqual([]);
  });

  test("G22: whoever registers one anew and was asleep meanwhile brings no tick back", async () => {
    const { schedule, pass, minutes } = reporting("a");
    await schedule.register("k", { seconds: 60 });
    await pass(1);
    await schedule.unregister("k");
    const sleeper = new Machine(world());
    const others = sleeper.client.defineDynamicSchedule({ id: "reports" });
    await others.list();
    sleeper.freezeBefore("commit");
    const registering = others.register("k", { seconds: 60 });
    await until(() => sleeper.isFrozen);
    world().clock.advance(30);
    await schedule.register("k", { seconds: 60 });
    await pass(3);
    await schedule.unregister("k");
    sleeper.thaw();
    await registering;
    await pass(2);
    expect(minutes("k")).toEqual([1, 2.5, 3.5, 4.5, 5.5, 6.5]);
    await sleeper.client.stop({ timeout: 0 });
  });
});
