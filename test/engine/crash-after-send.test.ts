import { expect, test } from "vitest";
import { defineJob, eventTrigger, type Io, invokeTrigger } from "../../src/index.js";
import { Machine } from "./drive.js";
import { until } from "./support.js";
import { describeEngine, type World } from "./world.js";

/** `sender` does what `send` says; `first` and `second` hear what it tells. */
function jobsOf(send: (io: Io) => Promise<unknown>) {
  const hearer = (id: string) =>
    defineJob({ id, trigger: eventTrigger({ name: "told" }), run: async (payload) => payload });
  const sender = defineJob({
    id: "sender",
    trigger: invokeTrigger(),
    run: async (_payload, io) => send(io),
  });
  return [sender, hearer("first"), hearer("second")];
}

/**
 * A process stores the event and dies instead of recording the task; another
 * one takes the run over. Answers what is there then.
 */
async function crashBetween(world: World, send: (io: Io) => Promise<unknown>) {
  const doomed = new Machine(world, { jobs: jobsOf(send) });
  const handle = await doomed.client.invoke("sender");
  // The events are made by `createRuns`: the first commit of the execution is the record.
  doomed.dieAtCommit(1);
  void doomed.client.drain();
  const witness = world.client();
  const heardBy = async (jobId: string) => (await witness.getRuns({ jobId })).runs.length;
  await until(() => doomed.isFrozen);
  const atTheCrash = {
    first: await heardBy("first"),
    recorded: (await witness.getRun(handle, { tasks: true }))?.tasks?.length,
  };
  world.clock.advance("31s");
  const heir = world.client({ jobs: jobsOf(send) });
  await heir.drain();
  return {
    atTheCrash,
    sender: await heir.getRun(handle),
    first: await heardBy("first"),
    second: await heardBy("second"),
  };
}

describeEngine("a crash between an event and its record", (world) => {
  test("I13: io.sendEvent makes one event and one run of each job that hears it", async () => {
    const end = await crashBetween(world(), async (io) => {
      const { runIds } = await io.sendEvent("tell", { name: "told", payload: 1 });
      return runIds.length;
    });
    expect(end.atTheCrash).toEqual({ first: 1, recorded: 0 });
    expect(end.sender).toMatchObject({ status: "COMPLETED", output: 2, executionCount: 2 });
    expect(end).toMatchObject({ first: 1, second: 1 });
  });

  test("I13: io.sendEvents makes each of its events once, with an id of its own or of the user", async () => {
    const end = await crashBetween(world(), async (io) => {
      const sent = await io.sendEvents("tell", [
        { name: "told" },
        { name: "told", id: "chosen" },
        { name: "told" },
      ]);
      return sent.map(({ runIds }) => runIds.length);
    });
    expect(end.atTheCrash).toEqual({ first: 3, recorded: 0 });
    expect(end.sender).toMatchObject({ status: "COMPLETED", output: [2, 2, 2] });
    expect(end).toMatchObject({ first: 3, second: 3 });
  });

  test("I13: so it is inside a task whose callback runs again because of the crash", async () => {
    let calls = 0;
    const end = await crashBetween(world(), (io) =>
      io.runTask("outer", async (_task, inner) => {
        calls++;
        const { runIds } = await inner.sendEvent("tell", { name: "told" });
        return runIds.length;
      }),
    );
    expect(calls).toBe(2);
    expect(end.sender).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(end).toMatchObject({ first: 1, second: 1 });
  });
});

describeEngine("one event id twice in a call", (world) => {
  test("T6, T9: makes one run per job, and both places answer the same runs", async () => {
    const client = world().client({ jobs: jobsOf(async () => {}) });
    await client.start();
    const sent = await client.sendEvents([
      { name: "told", id: "same", payload: 1 },
      { name: "told", id: "other", payload: 2 },
      { name: "told", id: "same", payload: 3 },
    ]);
    expect(sent[0]?.runIds).toHaveLength(2);
    expect(sent[2]).toEqual(sent[0]);
    await client.drain();
    for (const jobId of ["first", "second"]) {
      const { runs } = await client.getRuns({ jobId });
      expect(runs.map(({ eventId, output }) => [eventId, output])).toEqual([
        ["other", 2],
        ["same", 1],
      ]);
    }
  });

  test("T6, T9: also through io.sendEvents, and if the process dies before the record", async () => {
    const end = await crashBetween(world(), async (io) => {
      const sent = await io.sendEvents("tell", [
        { name: "told", id: "same" },
        { name: "told", id: "same" },
      ]);
      return new Set(sent.flatMap(({ runIds }) => runIds)).size;
    });
    expect(end.sender).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(end).toMatchObject({ first: 1, second: 1 });
  });

  test("I13: a delayed event that was sent before the crash keeps its time", async () => {
    const end = await crashBetween(world(), async (io) => {
      const { id } = await io.sendEvent("tell", { name: "told" }, { deliverAfter: "1h" });
      return (await io.getEvent("look", id))?.deliverAt;
    });
    const sentAt = end.sender?.createdAt.getTime() ?? 0;
    expect(end.sender?.output).toEqual(new Date(sentAt + 3_600_000));
    expect(end).toMatchObject({ first: 0, second: 0 });
  });

  test("I13: so does one with an id of the user's, and with a time that another task gave it", async () => {
    const end = await crashBetween(world(), async (io) => {
      const event = { name: "told", id: "mine" };
      const { id } = await io.sendEvent("tell", event, { deliverAfter: "1h" });
      const before = await io.getEvent("before", id);
      await io.sendEvents("later", [event, { ...event, payload: 2 }], { deliverAfter: "3h" });
      const after = await io.getEvent("after", id);
      return [before?.deliverAt, after?.deliverAt, after?.payload];
    });
    const sentAt = end.sender?.createdAt.getTime() ?? 0;
    const recordedAt = sentAt + 31_000;
    expect(end.sender?.output).toEqual([
      new Date(sentAt + 3_600_000),
      new Date(recordedAt + 3 * 3_600_000),
      2,
    ]);
  });

  test("I13: the repeated send of a crashed process changes nothing that somebody else has sent since", async () => {
    const send = (io: Io) =>
      io.sendEvent("tell", { name: "told", id: "mine", payload: 1 }, { deliverAfter: "1h" });
    const doomed = new Machine(world(), { jobs: jobsOf(send) });
    const handle = await doomed.client.invoke("sender");
    doomed.dieAtCommit(1);
    void doomed.client.drain();
    await until(() => doomed.isFrozen);
    const other = world().client();
    const event = { name: "told", id: "mine", payload: 2 };
    await other.sendEvent(event, { deliverAfter: "2h" });
    const deliverAt = new Date(world().clock.now() + 7_200_000);
    world().clock.advance("31s");
    const heir = world().client({ jobs: jobsOf(send) });
    await heir.drain();
    expect((await heir.getRun(handle))?.status).toBe("COMPLETED");
    expect(await heir.getEvent("mine")).toMatchObject({ deliverAt, payload: 2 });
  });
});
