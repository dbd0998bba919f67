import { expect, test } from "vitest";
import {
  type Client,
  type CronOptions,
  cronTrigger,
  defineJob,
  eventTrigger,
  type IntervalOptions,
  intervalTrigger,
  type ScheduledPayload,
} from "../../src/index.js";
import { Machine, turns } from "./drive.js";
import { codeOf, thrownCode, until } from "./support.js";
import { describeEngine, type World } from "./world.js";

const MINUTE = 60_000;

/** A job that ticks; `ticks` gets what its runs were given. */
function ticking(
  trigger: ReturnType<typeof cronTrigger>,
  ticks: ScheduledPayload[] = [],
  options: { version?: string; waits?: string } = {},
) {
  return defineJob({
    id: "tick",
    trigger,
    version: options.version ?? "1.0.0",
    run: async (payload, io) => {
      if (options.waits !== undefined) await io.wait("busy", options.waits);
      ticks.push(payload);
    },
  });
}

const every = (seconds: number, more: Partial<IntervalOptions> = {}) =>
  intervalTrigger({ seconds, ...more });
const cron = (expression: string, more: Partial<CronOptions> = {}) =>
  cronTrigger({ cron: expression, ...more });

/** Passes time in steps and does what is due after each. */
async function pass(world: World, client: Client, steps: number, stepMs = MINUTE): Promise<void> {
  for (let step = 0; step < steps; step++) {
    world.clock.advance({ milliseconds: stepMs });
    await client.drain();
  }
}

const instants = (ticks: readonly ScheduledPayload[]) =>
  ticks.map(({ ts }) => ts.getTime()).sort((a, b) => a - b);

describeEngine("schedules", (world) => {
  test("T12: a cron job runs once per tick, and gets the instant of it and of the one before", async () => {
    const ticks: ScheduledPayload[] = [];
    const client = world().client({ jobs: [ticking(cron("*/5 * * * *"), ticks)] });
    await client.drain();
    const from = world().clock.now();
    await pass(world(), client, 16);
    const first = Math.ceil((from + 1) / (5 * MINUTE)) * 5 * MINUTE;
    expect(instants(ticks)).toEqual([first, first + 5 * MINUTE, first + 10 * MINUTE]);
    expect(ticks.map(({ lastTimestamp }) => lastTimestamp?.getTime())).toEqual([
      undefined,
      first,
      first + 5 * MINUTE,
    ]);
  });

  test("T12: several processes make one run per tick, also while they come and go", async () => {
    const ticks: ScheduledPayload[] = [];
    const jobs = [ticking(every(60), ticks)];
    let clients = [world().client({ jobs }), world().client({ jobs }), world().client({ jobs })];
    for (let minute = 0; minute < 10; minute++) {
      await Promise.all(clients.map((client) => client.drain()));
      if (minute % 3 === 2) {
        await clients[0]?.stop({ timeout: 0 });
        clients = [...clients.slice(1), world().client({ jobs })];
      }
      world().clock.advance(60);
    }
    await clients[0]?.drain();
    expect(ticks).toHaveLength(10);
    expect(new Set(instants(ticks)).size).toBe(10);
  });

  test("G22: a worker that dies with a tick in its hands loses none and doubles none", async () => {
    const ticks: ScheduledPayload[] = [];
    const jobs = [ticking(every(60), ticks)];
    await world().client({ jobs }).drain();
    world().clock.advance(60);
    const doomed = new Machine(world(), { jobs });
    doomed.dieAtCommit(1);
    void doomed.client.drain();
    await until(() => doomed.isFrozen);
    expect(ticks).toEqual([]);
    world().clock.advance("31s");
    const heir = world().client({ jobs });
    await heir.drain();
    expect(ticks).toHaveLength(1);
    world().clock.advance("29s");
    await heir.drain();
    expect(ticks).toHaveLength(2);
    expect((await heir.getRuns()).runs).toHaveLength(2);
  });

  test("T13: an interval begins one interval after its first registration and keeps its phase over restarts", async () => {
    const ticks: ScheduledPayload[] = [];
    const jobs = [ticking(every(60), ticks)];
    const from = world().clock.now();
    const first = world().client({ jobs });
    await first.drain();
    world().clock.advance(59);
    await first.drain();
    expect(ticks).toEqual([]);
    await first.stop({ timeout: 0 });
    world().clock.advance(11);
    const second = world().client({ jobs });
    await second.drain();
    expect(instants(ticks)).toEqual([from + MINUTE]);
    world().clock.advance(50);
    await second.drain();
    expect(instants(ticks)).toEqual([from + MINUTE, from + 2 * MINUTE]);
  });

  test.each<[catchUp: "skip" | "one" | "all", minutes: number[]]>([
    ["skip", [10]],
    ["one", [9, 10]],
    ["all", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  ])(
    "T14: after a time without workers, catchUp %j makes up for the ticks of minutes %j",
    async (catchUp, minutes) => {
      const ticks: ScheduledPayload[] = [];
      const jobs = [ticking(every(60, { catchUp }), ticks)];
      const from = world().clock.now();
      const before = world().client({ jobs });
      await before.drain();
      await before.stop({ timeout: 0 });
      world().clock.advance("10m 30s");
      const after = world().client({ jobs });
      await after.drain();
      expect(instants(ticks)).toEqual(minutes.map((minute) => from + minute * MINUTE));
      world().clock.advance("1m");
      await after.drain();
      expect(instants(ticks).at(-1)).toBe(from + 11 * MINUTE);
    },
  );

  test("T14: more missed ticks than are started at once all start", async () => {
    const ticks: ScheduledPayload[] = [];
    const jobs = [ticking(every(1, { catchUp: "all" }), ticks)];
    await world().client({ jobs }).drain();
    world().clock.advance(250);
    await world().client({ jobs }).drain();
    expect(ticks).toHaveLength(250);
    expect(new Set(instants(ticks)).size).toBe(250);
  });

  test("T15: with overlap skip there is no run while the one of an earlier tick is open", async () => {
    const ticks: ScheduledPayload[] = [];
    const trigger = every(60, { overlap: "skip" });
    const client = world().client({ jobs: [ticking(trigger, ticks, { waits: "150s" })] });
    const from = world().clock.now();
    await client.drain();
    await pass(world(), client, 10, 30_000);
    expect(instants(ticks)).toEqual([from + MINUTE]);
    await pass(world(), client, 4, 30_000);
    expect(instants(ticks)).toEqual([from + MINUTE, from + 4 * MINUTE]);
  });

  test("jitter starts runs later by less than it, and by another time each", async () => {
    const client = world().client({ jobs: [ticking(every(60, { jitter: "30s" }))] });
    await client.drain();
    const delays: number[] = [];
    for (let minute = 0; minute < 5; minute++) {
      world().clock.advance(60);
      await client.drain();
      const [run] = (await client.getRuns({ take: 1 })).runs;
      if (run === undefined) throw new Error("no run");
      const { ts } = run.payload as ScheduledPayload;
      delays.push((run.availableAt ?? run.startedAt ?? ts).getTime() - ts.getTime());
    }
    expect(delays.every((delay) => delay >= 0 && delay < 30_000)).toBe(true);
    expect(new Set(delays).size).toBeGreaterThan(1);
  });

  test("a changed schedule counts from its registration on; an older version changes nothing back", async () => {
    const ticks: ScheduledPayload[] = [];
    const from = world().clock.now();
    const old = world().client({ jobs: [ticking(every(60), ticks)] });
    await old.drain();
    world().clock.advance(60);
    await old.drain();
    const jobs = [ticking(every(600), ticks, { version: "1.1.0" })];
    const fresh = world().client({ jobs });
    await fresh.drain();
    await world()
      .client({ jobs: [ticking(every(60), ticks)] })
      .drain();
    await pass(world(), fresh, 12);
    expect(instants(ticks)).toEqual([from + MINUTE, from + 11 * MINUTE]);
  });

  test("a tick that is due when the schedule changes is not lost, and a shorter interval floods nothing", async () => {
    const ticks: ScheduledPayload[] = [];
    const from = world().clock.now();
    await world()
      .client({ jobs: [ticking(every(3_600, { catchUp: "all" }), ticks)] })
      .drain();
    world().clock.advance("61m");
    const jobs = [ticking(every(60, { catchUp: "all" }), ticks, { version: "1.1.0" })];
    const client = world().client({ jobs });
    await client.drain();
    expect(instants(ticks)).toEqual([from + 60 * MINUTE, from + 61 * MINUTE]);
    const longer = [ticking(every(3_600, { catchUp: "all" }), ticks, { version: "1.2.0" })];
    await world().client({ jobs: longer }).drain();
    world().clock.advance("30m");
    const shorter = [ticking(every(60, { catchUp: "all" }), ticks, { version: "1.3.0" })];
    await world().client({ jobs: shorter }).drain();
    expect(ticks).toHaveLength(2);
  });

  test("of two definitions that are registered at once the newer one stays", async () => {
    const clients = ["1.0.0", "2.0.0"].map((version, index) =>
      world().client({ jobs: [ticking(every(60 * (index + 1)), [], { version })] }),
    );
    await Promise.all(clients.map((client) => client.stats()));
    expect(await clients[0]?.getSchedules()).toMatchObject([{ schedule: { seconds: 120 } }]);
  });

  test("a job that has no schedule any more ticks no more, and begins anew when it has one again", async () => {
    const ticks: ScheduledPayload[] = [];
    await world()
      .client({ jobs: [ticking(every(60), ticks)] })
      .drain();
    const plain = defineJob({
      id: "tick",
      version: "2.0.0",
      trigger: eventTrigger({ name: "e" }),
      run: async () => {},
    });
    const without = world().client({ jobs: [plain] });
    await pass(world(), without, 3);
    expect(await without.getSchedules()).toEqual([]);
    const again = world().client({ jobs: [ticking(every(60), ticks, { version: "3.0.0" })] });
    await again.drain();
    expect(ticks).toEqual([]);
    await pass(world(), again, 2);
    expect(ticks).toHaveLength(2);
  });

  test("D4: a disabled job starts no runs", async () => {
    const disabled = defineJob({ id: "tick", enabled: false, trigger: every(60), run: () => {} });
    const client = world().client({ jobs: [disabled] });
    await client.drain();
    await pass(world(), client, 3);
    expect((await client.getRuns()).runs).toEqual([]);
  });

  test("the next ticks are listed; paused there are none, and resumed it keeps its phase", async () => {
    const ticks: ScheduledPayload[] = [];
    const client = world().client({ jobs: [ticking(every(60), ticks)] });
    const from = world().clock.now();
    const at = (minute: number) => new Date(from + minute * MINUTE);
    await client.drain();
    const schedule = { type: "interval", seconds: 60 };
    expect(await client.getSchedules({ ticks: 3 })).toEqual([
      { jobId: "tick", schedule, paused: false, next: [at(1), at(2), at(3)] },
    ]);
    await client.pauseSchedule("tick");
    await client.pauseSchedule("tick");
    await pass(world(), client, 3, 50_000);
    expect(ticks).toEqual([]);
    expect(await client.getSchedules()).toMatchObject([{ paused: true, next: [] }]);
    await world()
      .client({ jobs: [ticking(every(60), ticks)] })
      .drain();
    expect(await client.getSchedules()).toMatchObject([{ paused: true }]);
    await client.resumeSchedule("tick");
    expect(await client.getSchedules()).toMatchObject([{ paused: false, next: [at(3)] }]);
    await pass(world(), client, 1);
    expect(ticks.map(({ ts }) => ts)).toEqual([at(3)]);
    expect(await client.getSchedules()).toMatchObject([{ last: at(3), next: [at(4)] }]);
    expect(await codeOf(client.pauseSchedule("nobody"))).toBe("SCHEDULE_NOT_FOUND");
    expect(await codeOf(client.resumeSchedule("nobody"))).toBe("SCHEDULE_NOT_FOUND");
    expect(await codeOf(client.getSchedules({ ticks: -1 }))).toBe("OPTION_INVALID");
  });

  test("G22: whoever resumes a schedule and was asleep meanwhile brings no tick back", async () => {
    const ticks: ScheduledPayload[] = [];
    const jobs = [ticking(every(60), ticks)];
    const client = world().client({ jobs });
    const from = world().clock.now();
    await client.drain();
    await client.pauseSchedule("tick");
    const sleeper = new Machine(world());
    await sleeper.client.getSchedules();
    sleeper.freezeAfter("now");
    const resuming = sleeper.client.resumeSchedule("tick");
    await until(() => sleeper.isFrozen);
    await client.resumeSchedule("tick");
    await pass(world(), client, 3);
    await client.pauseSchedule("tick");
    sleeper.thaw();
    await resuming;
    const at = (minute: number) => new Date(from + minute * MINUTE);
    expect(await client.getSchedules()).toMatchObject([{ paused: false, next: [at(4)] }]);
    await pass(world(), client, 1);
    expect(instants(ticks)).toEqual([1, 2, 3, 4].map((minute) => at(minute).getTime()));
  });

  test("G22: a newer module whose process was asleep while it registered brings no tick back", async () => {
    const ticks: ScheduledPayload[] = [];
    const from = world().clock.now();
    const old = world().client({ jobs: [ticking(every(60), ticks)] });
    await old.drain();
    const jobs = [ticking(every(30), ticks, { version: "2.0.0" })];
    const sleeper = new Machine(world(), { jobs });
    sleeper.freezeBefore("commit");
    const registering = sleeper.client.getSchedules();
    await until(() => sleeper.isFrozen);
    await pass(world(), old, 3);
    sleeper.thaw();
    await registering;
    await pass(world(), old, 2, 30_000);
    const seconds = instants(ticks).map((instant) => (instant - from) / 1_000);
    expect(seconds).toEqual([60, 120, 180, 210, 240]);
  });

  test("a schedule that ended with its job and was purged begins anew with it", async () => {
    const ticks: ScheduledPayload[] = [];
    const client = world().client({ jobs: [ticking(every(60), ticks)] });
    await client.drain();
    await pass(world(), client, 2);
    await client.stop({ timeout: 0 });
    const other = world().client();
    await other.removeJob("tick");
    world().clock.advance(1);
    expect(await other.purge({ olderThan: 0 })).toEqual({ purged: 3 });
    for (const _ of ["first", "second"]) {
      const again = world().client({ jobs: [ticking(every(60), ticks)] });
      await again.drain();
      await pass(world(), again, 2);
      expect(await again.getSchedules()).toMatchObject([{ jobId: "tick" }]);
      await again.pauseSchedule("tick");
      expect(await other.getSchedules()).toMatchObject([{ jobId: "tick", paused: true }]);
      await again.resumeSchedule("tick");
    }
    expect(ticks).toHaveLength(6);
    expect((await other.getRuns()).runs.every(({ jobId }) => jobId === "tick")).toBe(true);
  });

  test("a schedule goes with its job, also while it is paused", async () => {
    const jobs = [ticking(every(60)), defineJob({ id: "x", trigger: every(60), run: () => {} })];
    const client = world().client({ jobs });
    await client.drain();
    await client.pauseSchedule("tick");
    await client.stop({ timeout: 0 });
    const other = world().client();
    await other.removeJob("tick");
    expect(await other.getSchedules()).toMatchObject([{ jobId: "x" }]);
    await other.removeJob("x");
    await other.removeJob("nobody");
    expect(await other.getSchedules()).toEqual([]);
    expect(await codeOf(other.resumeSchedule("tick"))).toBe("SCHEDULE_NOT_FOUND");
    const back = world().client({ jobs: [ticking(every(60))] });
    expect(await back.getSchedules()).toMatchObject([{ jobId: "tick", paused: false }]);
  });

  test("C1: the context names the schedule as event and source", async () => {
    let seen: unknown;
    const job = defineJob({
      id: "tick",
      trigger: every(60),
      run: async (_, _io, { event, source }) => {
        seen = { name: event.name, timestamp: event.timestamp, source };
      },
    });
    const client = world().client({ jobs: [job] });
    await client.drain();
    await pass(world(), client, 1);
    const timestamp = new Date(world().clock.now());
    expect(seen).toEqual({
      name: "schedule",
      timestamp,
      source: { id: "tick", metadata: undefined },
    });
  });

  test("H2: a tick whose run fails before it begins calls onFailure once and is told of", async () => {
    const heard: string[] = [];
    const job = (id: string) =>
      defineJob({
        id,
        trigger: every(60),
        tags: () => {
          throw new Error("no tags");
        },
        run: async () => {},
        ...(id === "hooked"
          ? { onFailure: (run) => void heard.push(`hook ${run.job.id} ${run.error?.message}`) }
          : undefined),
      });
    const client = world().client({ jobs: [job("hooked"), job("plain")] });
    client.on("runFailed", ({ job: { id }, error }) => heard.push(`${id} ${error?.message}`));
    await client.drain();
    await pass(world(), client, 1);
    expect(heard.sort()).toEqual(["hook hooked no tags", "hooked no tags", "plain no tags"]);
    expect((await client.getRuns()).runs.map(({ status }) => status)).toEqual(["FAILED", "FAILED"]);
  });

  test("a run by hand is an invoke like any other", async () => {
    const ticks: ScheduledPayload[] = [];
    const job = ticking(cron("0 0 1 1 *"), ticks);
    const client = world().client({ jobs: [job] });
    await client.invoke(job, { ts: new Date(0) });
    await client.drain();
    expect(ticks).toEqual([{ ts: new Date(0) }]);
  });

  test("a started worker ticks by itself", async () => {
    const ticks: ScheduledPayload[] = [];
    const client = world().client({ jobs: [ticking(every(60), ticks)] });
    await client.start();
    await until(async () => (await client.getSchedules()).length === 1);
    await turns();
    world().clock.advance(60);
    await until(() => ticks.length === 1);
  });

  test("T16: schedules tick in development as everywhere, unless one option mutes those of a process", async () => {
    const ticks: ScheduledPayload[] = [];
    const mute = world().client({ jobs: [ticking(every(60), ticks)], schedules: false });
    await mute.drain();
    await pass(world(), mute, 3);
    expect(ticks).toEqual([]);
    const [listed] = await mute.getSchedules();
    expect(listed?.jobId).toBe("tick");
    await mute.fireSchedule("tick");
    await mute.drain();
    expect(ticks).toHaveLength(1);
    // It executes the runs that another process' tick has started.
    const other = world().client();
    await pass(world(), other, 1);
    await mute.drain();
    expect(ticks.at(-1)?.ts.getTime()).toBe(world().clock.now());
  });

  test("schedules of createClient is true or false", () => {
    expect(thrownCode(() => world().client({ schedules: "no" as never }))).toBe("OPTION_INVALID");
  });
});
