import { type DynamicSchedule, defineJob, invokeTrigger } from "pawl";
import { expect, test } from "vitest";
import { Machine, turns } from "./drive.js";
import { describeEngine, type World } from "./world.js";

type Body = (schedule: DynamicSchedule) => Promise<unknown>;

function setupOf(schedule: DynamicSchedule, body: Body) {
  return defineJob({ id: "setup", trigger: invokeTrigger(), run: () => body(schedule) });
}

/** A run whose process stops at a certain point, and what others see and do. */
async function interrupted(world: World, body: Body, stop: (machine: Machine) => void) {
  const machine = new Machine(world);
  const own = machine.client.defineDynamicSchedule({ id: "reports" });
  machine.client.attach(setupOf(own, body));
  const { id } = await machine.client.invoke("setup");
  stop(machine);
  const draining = machine.client.drain();
  let isOver = false;
  void draining.then(() => {
    isOver = true;
  });
  while (!machine.isFrozen && !isOver) await turns(1);
  const client = world.client();
  const schedule = client.defineDynamicSchedule({ id: "reports" });
  const seconds = async () =>
    (await schedule.list()).map(({ schedule: each }) =>
      each.type === "interval" ? each.seconds : undefined,
    );
  /** Another process takes the run over and ends it. */
  const takeOver = async () => {
    world.clock.advance("31s");
    client.attach(setupOf(schedule, body));
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED" });
  };
  /** The process goes on with what it was about to do. */
  const wakeUp = async () => {
    machine.thaw();
    await draining;
    await machine.client.stop({ timeout: 0 });
  };
  return { id, client, schedule, seconds, takeOver, wakeUp };
}

/** Before the first commit of the run, before the second, and so on; a schedule that is new is created, not committed. */
const stops: [string, (machine: Machine) => void][] = [
  ...[1, 2, 3].map((n): [string, (machine: Machine) => void] => [
    `at commit ${n}`,
    (machine) => machine.dieAtCommit(n),
  ]),
  ["before it creates", (machine) => machine.freezeBefore("createRuns")],
  ["after it creates", (machine) => machine.freezeAfter("createRuns")],
];
const registers: Body = (schedule) => schedule.register("k", { seconds: 60 });
const unregisters: Body = (schedule) => schedule.unregister("k");

describeEngine("schedules that runs register", (world) => {
  test.each(stops)(
    "T17, E9: a registration that is there before a crash %s is not made again over what others did since",
    async (_title, stop) => {
      const { schedule, seconds, takeOver } = await interrupted(world(), registers, stop);
      const wasThere = (await seconds()).length > 0;
      await schedule.unregister("k");
      await takeOver();
      if (wasThere) expect(await seconds()).toEqual([]);
    },
  );

  test.each(stops)(
    "T17, E9: a process that was asleep %s does not reopen what was unregistered meanwhile",
    async (_title, stop) => {
      const { schedule, seconds, takeOver, wakeUp } = await interrupted(world(), registers, stop);
      await takeOver();
      await schedule.unregister("k");
      await wakeUp();
      expect(await seconds()).toEqual([]);
    },
  );

  test.each(stops)(
    "T17, E9: a process that was asleep %s does not override what was registered meanwhile",
    async (_title, stop) => {
      const there = world().client().defineDynamicSchedule({ id: "reports" });
      await there.register("k", { seconds: 30 });
      const { schedule, seconds, takeOver, wakeUp } = await interrupted(world(), registers, stop);
      await takeOver();
      await schedule.register("k", { seconds: 120 });
      await wakeUp();
      expect(await seconds()).toEqual([120]);
    },
  );

  test.each(stops)(
    "T17, E9: a process that was asleep %s does not end what was registered meanwhile",
    async (_title, stop) => {
      const there = world().client().defineDynamicSchedule({ id: "reports" });
      await there.register("k", { seconds: 30 });
      const { schedule, seconds, takeOver, wakeUp } = await interrupted(world(), unregisters, stop);
      await takeOver();
      for (const each of [40, 50]) {
        await schedule.unregister("k");
        await schedule.register("k", { seconds: each });
      }
      await wakeUp();
      expect(await seconds()).toEqual([50]);
    },
  );

  test("T17: a run may register what was ended and purged", async () => {
    const client = world().client();
    const schedule = client.defineDynamicSchedule({ id: "reports" });
    await schedule.register("k", { seconds: 30 });
    await schedule.unregister("k");
    world().clock.advance(1);
    await client.purge({ olderThan: 0 });
    client.attach(setupOf(schedule, registers));
    const run = await client.invoke("setup");
    await client.drain();
    expect(await client.getRun(run)).toMatchObject({ status: "COMPLETED" });
    expect(await schedule.list()).toMatchObject([{ key: "k", schedule: { seconds: 60 } }]);
  });

  test("T17: what changes nothing is remembered like everything else", async () => {
    const client = world().client();
    const schedule = client.defineDynamicSchedule({ id: "reports" });
    await schedule.register("k", { seconds: 60 });
    client.attach(
      setupOf(schedule, async () => {
        await schedule.register("k", { seconds: 60 });
        return schedule.unregister("other");
      }),
    );
    const run = await client.invoke("setup");
    await client.drain();
    expect(await client.getRun(run, { tasks: true })).toMatchObject({
      output: false,
      tasks: [{ status: "COMPLETED" }, { status: "COMPLETED" }],
    });
  });
});
