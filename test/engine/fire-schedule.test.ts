import { expect, test } from "vitest";
import {
  type Client,
  defineJob,
  type IntervalOptions,
  intervalTrigger,
  type JobOptions,
  type ScheduledPayload,
} from "../../src/index.js";
import { jobOf } from "./drive.js";
import { codeOf } from "./support.js";
import { describeEngine, type World } from "./world.js";

const MINUTE = 60_000;

type Options = Partial<JobOptions<ScheduledPayload, ScheduledPayload, unknown, never>>;

/** A job that ticks each minute, and what its runs were given. */
function ticking(policy: Partial<IntervalOptions> = {}, options: Options = {}) {
  const ticks: { minute: number; after: number | undefined; event: string }[] = [];
  let from = 0;
  const job = defineJob({
    id: "tick",
    trigger: intervalTrigger({ seconds: 60, ...policy }),
    ...options,
    run: async ({ ts, lastTimestamp }, io, { event }) => {
      const minuteOf = (at: Date) => (at.getTime() - from) / MINUTE;
      await io.runTask("note", () => {
        const after = lastTimestamp === undefined ? undefined : minuteOf(lastTimestamp);
        ticks.push({ minute: minuteOf(ts), after, event: event.id });
      });
      await io.wait("busy", "90s");
    },
  });
  const open = async (world: World, ...more: Parameters<World["client"]>) => {
    from = world.clock.now();
    const client = world.client({ jobs: [job], ...more[0] });
    await client.drain();
    return client;
  };
  return { job, ticks, open };
}

async function pass(world: World, client: Client, seconds: number): Promise<void> {
  world.clock.advance(seconds);
  await client.drain();
}

describeEngine("a schedule that is fired by hand", (world) => {
  test("starts its run at once, with the present instant and the last tick, and its ticks stay as they are", async () => {
    const { ticks, open } = ticking();
    const client = await open(world());
    await pass(world(), client, 60);
    await pass(world(), client, 30);
    const before = await client.getSchedules();
    const { runIds } = await client.fireSchedule("tick");
    expect(await client.getSchedules()).toEqual(before);
    await client.drain();
    expect(runIds).toHaveLength(1);
    expect(await client.getRun(runIds[0] ?? "")).toMatchObject({
      jobId: "tick",
      payload: { ts: new Date(world().clock.now()) },
    });
    await pass(world(), client, 30);
    expect(ticks.map(({ minute, after }) => [minute, after])).toEqual([
      [1, undefined],
      [1.5, 1],
      [2, 1],
    ]);
  });

  test("starts a run of its own beside a tick of the same instant, whoever comes first", async () => {
    const { ticks, job, open } = ticking();
    const client = await open(world());
    const other = world().client({ jobs: [job] });
    await other.stats();
    world().clock.advance(60);
    await Promise.all([
      client.drain(),
      other.drain(),
      client.fireSchedule("tick"),
      other.fireSchedule("tick"),
    ]);
    await client.drain();
    expect(ticks.map(({ minute }) => minute)).toEqual([1, 1, 1]);
    expect(new Set(ticks.map(({ event }) => event)).size).toBe(3);
    await pass(world(), client, 60);
    expect(ticks.at(-1)).toMatchObject({ minute: 2, after: 1 });
    expect(ticks).toHaveLength(4);
  });

  test("neither minds an open run nor is minded as one by overlap skip", async () => {
    const { ticks, open } = ticking({ overlap: "skip" });
    const client = await open(world());
    await client.fireSchedule("tick");
    await pass(world(), client, 60);
    await client.fireSchedule("tick");
    await client.drain();
    // The run of the tick is open: the next tick starts none.
    await pass(world(), client, 60);
    expect(ticks.map(({ minute }) => minute)).toEqual([0, 1, 1]);
  });

  test("starts a run although it is paused, and stays paused", async () => {
    const { ticks, open } = ticking({ jitter: "30s" });
    const client = await open(world());
    await client.pauseSchedule("tick");
    await client.fireSchedule("tick");
    await client.drain();
    expect(ticks).toHaveLength(1);
    await pass(world(), client, 120);
    expect(ticks).toHaveLength(1);
    expect(await client.getSchedules()).toMatchObject([{ paused: true }]);
  });

  test("T17: a registered one is fired by the id that lists it, with its metadata, for each job that is enabled", async () => {
    const client = world().client();
    const reports = client.defineDynamicSchedule({ id: "reports" });
    const seen: unknown[] = [];
    for (const id of ["a", "b", "off"]) {
      client.defineJob({
        id,
        trigger: reports,
        enabled: id !== "off",
        run: async ({ ts }, _io, { source, account, job }) =>
          void seen.push([job.id, ts.getTime(), source, account?.id]),
      });
    }
    const options = { metadata: { plan: "pro" }, accountId: "c1" };
    await reports.register("k/1", { cron: "0 0 1 1 *" }, options);
    const [listed] = await reports.list();
    expect(listed?.id).toBe("reports/k/1");
    const { runIds } = await client.fireSchedule(listed?.id ?? "");
    expect(runIds).toHaveLength(2);
    await client.drain();
    const source = { id: "k/1", metadata: { plan: "pro" } };
    const now = world().clock.now();
    expect(seen.sort()).toEqual([
      ["a", now, source, "c1"],
      ["b", now, source, "c1"],
    ]);
    expect(await reports.list()).toEqual([listed]);
    await reports.unregister("k/1");
    expect(await codeOf(client.fireSchedule("reports/k/1"))).toBe("SCHEDULE_NOT_FOUND");
  });

  test("one that no job has is SCHEDULE_NOT_FOUND, and one of a disabled job JOB_DISABLED", async () => {
    const { open } = ticking({}, { enabled: false });
    const client = await open(world());
    client.attach(jobOf(() => {}));
    expect(await codeOf(client.fireSchedule("tick"))).toBe("JOB_DISABLED");
    expect(await codeOf(client.fireSchedule("job"))).toBe("SCHEDULE_NOT_FOUND");
    expect(await codeOf(client.fireSchedule("nobody"))).toBe("SCHEDULE_NOT_FOUND");
    expect(await codeOf(client.fireSchedule("reports/nobody"))).toBe("SCHEDULE_NOT_FOUND");
    expect(await codeOf(client.fireSchedule(""))).toBe("OPTION_INVALID");
    expect((await client.getRuns()).runs).toEqual([]);
  });

  test("a job that lost its schedule is not found, also before a tick has noticed", async () => {
    const { open } = ticking({}, { version: "1.0.0" });
    await open(world());
    const plain = jobOf(() => {}, { id: "tick", version: "2.0.0" });
    const client = world().client({ jobs: [plain] });
    expect(await codeOf(client.fireSchedule("tick"))).toBe("SCHEDULE_NOT_FOUND");
  });

  test("is fired by a process without the job's code, for a worker that has it", async () => {
    const { ticks, open } = ticking();
    const client = await open(world());
    await world().client().fireSchedule("tick");
    await client.drain();
    expect(ticks.map(({ minute }) => minute)).toEqual([0]);
  });

  test("H2: a run that fails before it begins calls onFailure", async () => {
    const heard: string[] = [];
    const { open } = ticking(
      {},
      {
        tags: () => {
          throw new Error("no tags");
        },
        onFailure: ({ error }) => void heard.push(`hook ${error?.message}`),
      },
    );
    const client = await open(world());
    client.on("runFailed", ({ error }) => heard.push(`told ${error?.message}`));
    const { runIds } = await client.fireSchedule("tick");
    await client.drain();
    expect((await client.getRun(runIds[0] ?? ""))?.status).toBe("FAILED");
    expect(heard.sort()).toEqual(["hook no tags", "told no tags"]);
  });

  test("inside a run it takes a task, as other writes of the client do", async () => {
    const { open } = ticking();
    const client = await open(world());
    const job = jobOf(async (io) => [
      await codeOf(client.fireSchedule("tick")),
      await io.runTask("fire", async () => (await client.fireSchedule("tick")).runIds.length),
    ]);
    client.attach(job);
    const { id } = await client.invoke(job, {});
    await client.drain();
    expect((await client.getRun(id))?.output).toEqual(["KEY_REQUIRED", 1]);
  });
});
