import { expect, test } from "vitest";
import { defineJob, eventTrigger } from "../../src/index.js";
import { gate, Machine, start, turns } from "./drive.js";
import { codeOf, until } from "./support.js";
import { describeEngine } from "./world.js";

const echo = async (payload: unknown) => payload;
const hears = (id: string) => defineJob({ id, trigger: eventTrigger({ name: "e" }), run: echo });

describeEngine("delayed events", (world) => {
  const inAnHour = () => new Date(world().clock.now() + 3_600_000);

  test("T8: starts its runs at its time and not before, also in a later process", async () => {
    const first = world().client({ jobs: [hears("j")] });
    const deliverAt = inAnHour();
    const sent = await first.sendEvent({ name: "e", id: "x", payload: 1 }, { deliverAt });
    expect(sent).toEqual({ id: "x", runIds: [] });
    await first.sendEvent({ name: "e", id: "y", payload: 2 }, { deliverAfter: "2h" });
    await first.drain();
    expect(await first.getEvent("x")).toMatchObject({ payload: 1, deliverAt, runs: [] });
    await first.stop({ timeout: 0 });
    const second = world().client({ jobs: [hears("j")] });
    world().clock.advance("59m");
    await second.drain();
    expect((await second.getRuns()).runs).toEqual([]);
    world().clock.advance("1m");
    await second.drain();
    expect((await second.getRuns()).runs.map(({ output }) => output)).toEqual([1]);
    world().clock.advance("1h");
    await second.drain();
    expect((await second.getRuns()).runs.map(({ output }) => output)).toEqual([2, 1]);
  });

  test("T8: is heard by the jobs that are there at its time", async () => {
    const client = world().client({ jobs: [hears("before")] });
    await client.sendEvent({ name: "e", id: "x" }, { deliverAfter: 60 });
    client.attach(hears("after"));
    world().clock.advance(60);
    await client.drain();
    const { runs = [] } = (await client.getEvent("x")) ?? {};
    expect(runs.map(({ jobId }) => jobId).sort()).toEqual(["after", "before"]);
    expect(new Set(runs.map(({ status }) => status))).toEqual(new Set(["COMPLETED"]));
  });

  test("T8: an event for a time that is past is delivered at once", async () => {
    const client = world().client({ jobs: [hears("j")] });
    const deliverAt = new Date(world().clock.now() - 1);
    expect((await client.sendEvent({ name: "e" }, { deliverAt })).runIds).toHaveLength(1);
  });

  test("T7: sent again before its time it has the new payload, context and time; after it, nothing changes", async () => {
    const client = world().client({ jobs: [hears("j")] });
    await client.sendEvent({ name: "e", id: "x", payload: 1 }, { deliverAfter: "1h" });
    const again = { name: "e", id: "x", payload: 2, context: { by: "b" } };
    await client.sendEvent(again, { deliverAfter: "3h" });
    world().clock.advance("1h");
    await client.drain();
    expect((await client.getRuns()).runs).toEqual([]);
    await client.sendEvent({ ...again, payload: 3 }, { deliverAfter: "1h" });
    world().clock.advance("1h");
    await client.drain();
    const { runs } = await client.getRuns();
    expect(runs.map(({ output }) => output)).toEqual([3]);
    const late = await client.sendEvent({ ...again, payload: 4 }, { deliverAfter: "1h" });
    expect(late.runIds).toEqual(runs.map(({ id }) => id));
    world().clock.advance("1d");
    await client.drain();
    expect((await client.getRuns()).runs).toHaveLength(1);
    expect(await client.getEvent("x")).toMatchObject({ payload: 3, context: { by: "b" } });
  });

  test("T7: sent again twice in one call it is as the last one says, whichever the store hears of first", async () => {
    const storage = world().storage();
    const getRuns = storage.getRuns.bind(storage);
    const client = world().client({ storage });
    await client.sendEvent({ name: "e", id: "x" }, { deliverAfter: "1h" });
    let reads = 0;
    storage.getRuns = async (ids) => {
      if (++reads === 1) await turns();
      return getRuns(ids);
    };
    const again = [1, 2, 3].map((payload) => ({ name: "e", id: "x", payload }));
    await client.sendEvents(again, { deliverAfter: "2h" });
    expect(await client.getEvent("x")).toMatchObject({ payload: 3 });
  });

  test("T7: sent again without a delay it is delivered now, and keeps its name", async () => {
    const client = world().client({ jobs: [hears("j")] });
    await client.sendEvent({ name: "e", id: "x", payload: 1 }, { deliverAfter: "1h" });
    await client.sendEvent({ name: "other", id: "x", payload: 2 });
    await client.drain();
    expect((await client.getRuns()).runs.map(({ output }) => output)).toEqual([2]);
  });

  test("T7: the id of an event that was delivered is not taken by a delayed one", async () => {
    const client = world().client({ jobs: [hears("j")] });
    const { runIds } = await client.sendEvent({ name: "e", id: "x" });
    const again = await client.sendEvent({ name: "e", id: "x" }, { deliverAfter: 60 });
    expect(again.runIds).toEqual(runIds);
    world().clock.advance(60);
    await client.drain();
    expect((await client.getRuns()).runs).toHaveLength(1);
  });

  test("T8: an event whose id looks like that of a delivered one takes nothing away", async () => {
    const client = world().client({ jobs: [hears("j")] });
    await client.sendEvent({ name: "e", id: "x", payload: 1 }, { deliverAfter: 60 });
    await client.sendEvent({ name: "e", id: "x/delivered", payload: 2 });
    world().clock.advance(60);
    await client.drain();
    expect((await client.getRuns()).runs.map(({ output }) => output)).toEqual([1, 2]);
  });

  test("T10: cancelled before its time it starts nothing; afterwards it is too late", async () => {
    const client = world().client({ jobs: [hears("j")] });
    await client.sendEvent({ name: "e", id: "x" }, { deliverAfter: "1h" });
    expect(await client.cancelEvent("x")).toBe(true);
    expect(await client.cancelEvent("x")).toBe(true);
    const cancelledAt = new Date(world().clock.now());
    world().clock.advance("2h");
    await client.drain();
    expect((await client.getRuns()).runs).toEqual([]);
    expect(await client.getEvent("x")).toMatchObject({ cancelledAt, runs: [] });
    await client.sendEvent({ name: "e", id: "y" });
    expect(await client.cancelEvent("y")).toBe(false);
    expect(await client.cancelEvent("nobody")).toBe(false);
    await client.sendEvent({ name: "e", id: "z" }, { deliverAfter: "1h" });
    world().clock.advance("1h");
    await client.drain();
    expect(await client.cancelEvent("z")).toBe(false);
  });

  test("T10: it is too late also if the worker that delivered it died, and one that stops gave it back", async () => {
    const jobs = [hears("j")];
    const doomed = new Machine(world(), { jobs });
    await doomed.client.sendEvent({ name: "e", id: "x" }, { deliverAfter: 60 });
    world().clock.advance(60);
    doomed.dieAtCommit(1);
    void doomed.client.drain();
    await until(() => doomed.isFrozen);
    expect((await world().client().getEvent("x"))?.deliveredAt).toBeInstanceOf(Date);
    world().clock.advance("31s");
    const door = gate();
    let hasClaimed = false;
    const storage = world().storage();
    const claimRuns = storage.claimRuns.bind(storage);
    storage.claimRuns = async (request) => {
      const answer = await claimRuns(request);
      hasClaimed ||= answer.runs.length > 0;
      await door.opened;
      return answer;
    };
    const stopping = world().client({ jobs, storage });
    await stopping.start();
    await until(() => hasClaimed);
    const stopped = stopping.stop({ timeout: 0 });
    door.open();
    await stopped;
    const client = world().client({ jobs });
    expect(await client.cancelEvent("x")).toBe(false);
    await client.drain();
    expect((await client.getEvent("x"))?.cancelledAt).toBeUndefined();
    expect((await client.getRuns()).runs).toMatchObject([{ status: "COMPLETED" }]);
  });

  test("T10: getEvent gives the event with its runs, and nothing for an unknown id", async () => {
    const client = world().client({ jobs: [hears("a"), hears("b")] });
    const timestamp = new Date("2026-01-01T00:00:00Z");
    const event = { name: "e", id: "x", payload: { n: 1n }, context: [1], timestamp };
    const { runIds } = await client.sendEvent(event);
    const now = new Date(world().clock.now());
    const found = await client.getEvent("x");
    expect(found).toMatchObject({ ...event, source: "pawl", createdAt: now, deliveredAt: now });
    expect(found?.runs.map(({ id }) => id).sort()).toEqual([...runIds].sort());
    expect(found?.runs.map(({ status }) => status)).toEqual(["QUEUED", "QUEUED"]);
    await client.replayRun(runIds[0] ?? "");
    expect((await client.getEvent("x"))?.runs).toHaveLength(3);
    expect(await client.getEvent("y")).toBeUndefined();
  });

  test("E8: a wait receives it at its time, also one that began after it was sent", async () => {
    const run = await start(world(), async (io) => {
      await io.wait("busy", "10m");
      return (await io.waitForEvent("e", { name: "e", filter: { n: [1] } })).payload;
    });
    await run.client.sendEvent({ name: "e", payload: { n: 1 } }, { deliverAfter: "1h" });
    await run.drain();
    world().clock.advance("59m");
    expect((await run.drain()).status).toBe("WAITING");
    world().clock.advance("1m");
    expect((await run.drain()).output).toEqual({ n: 1 });
  });

  test("I14: inside a run cancelEvent and getEvent are remembered", async () => {
    const run = await start(world(), async (io) => {
      const sent = await io.sendEvent("send", { name: "e" }, { deliverAfter: "1h" });
      const before = await io.getEvent("before", sent.id);
      const canceled = await io.cancelEvent("cancel", sent.id);
      const after = await io.getEvent("after", sent.id);
      await io.wait("day", "1d");
      const unknown = await io.getEvent("unknown", "nobody");
      const invalid = await codeOf(io.getEvent("invalid", ""));
      return [before?.cancelledAt, canceled, after?.cancelledAt instanceof Date, unknown, invalid];
    });
    expect((await run.finish()).output).toEqual([
      undefined,
      true,
      true,
      undefined,
      "OPTION_INVALID",
    ]);
  });
});
