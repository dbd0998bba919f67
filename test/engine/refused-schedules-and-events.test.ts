import { expect, test } from "vitest";
import { defineJob, eventTrigger, intervalTrigger, type Storage } from "../../src/index.js";
import { jobOf, start, turns } from "./drive.js";
import { codeOf } from "./support.js";
import { describeEngine } from "./world.js";

interface Element {
  readonly runId?: string;
}

/** Answers `rejected` to what `which` picks, and counts these answers; the rest goes to the storage. */
function refusing(storage: Storage) {
  const state = {
    refused: 0,
    /** By the id of the run that is written; undefined: a creation. */
    which: (_runId: string | undefined): boolean => false,
  };
  const call = async (method: "commit" | "createRuns", elements: readonly Element[]) => {
    const answers: unknown[] = [];
    for (const element of elements) {
      if (state.which(element.runId)) {
        state.refused++;
        answers.push({ result: "rejected", reason: "disk full", epoch: 1, status: "PENDING" });
      } else {
        const member = storage[method] as (list: readonly Element[]) => Promise<unknown[]>;
        answers.push(...(await member.call(storage, [element])));
      }
    }
    return answers;
  };
  const refuser = new Proxy(storage, {
    get(target, name) {
      if (name === "commit" || name === "createRuns")
        return (elements: readonly Element[]) => call(name, elements);
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  return { storage: refuser, state };
}

const ticking = (onTick: () => void) =>
  defineJob({ id: "tick", trigger: intervalTrigger({ seconds: 60 }), run: async () => onTick() });

describeEngine("a storage that refuses what is written from outside of runs", (world) => {
  test("a schedule that cannot be written is an error for who asked, at once", async () => {
    const { storage, state } = refusing(world().storage());
    const client = world().client({ storage, jobs: [ticking(() => {})] });
    const schedule = client.defineDynamicSchedule({ id: "dynamic" });
    await schedule.register("k", { seconds: 60 });
    state.which = (runId) => runId?.startsWith("$schedule") === true;
    const calls = [
      () => client.pauseSchedule("tick"),
      () => schedule.register("k", { seconds: 120 }),
      () => schedule.unregister("k"),
    ];
    for (const call of calls) expect(await codeOf(call())).toBe("STORAGE_FAILED");
    expect(state.refused).toBe(calls.length);
    state.which = () => false;
    await client.pauseSchedule("tick");
    expect(await client.getSchedules()).toMatchObject([{ paused: true }]);
    expect(await schedule.unregister("k")).toBe(true);
  });

  test("so are a token, a completion, a cancel, a retry and a delayed event", async () => {
    const { storage, state } = refusing(world().storage());
    const job = jobOf((io) => io.wait("hour", "1h"));
    const client = world().client({ storage, jobs: [job] });
    const token = await client.createToken();
    const event = { name: "e", id: "e" };
    await client.sendEvent(event, { deliverAfter: "1h" });
    const open = await client.invoke(job, {});
    const over = await client.invoke(job, {});
    await client.cancelRun(over);
    state.which = () => true;
    const calls = [
      () => client.createToken(),
      () => client.completeToken(token),
      () => client.cancelRun(open),
      () => client.retryRun(over),
      () => client.cancelEvent("e"),
    ];
    for (const call of calls) expect(await codeOf(call())).toBe("STORAGE_FAILED");
    expect(state.refused).toBe(calls.length);
    state.which = (runId) => runId !== undefined;
    expect(await codeOf(client.sendEvent(event, { deliverAfter: "2h" }))).toBe("STORAGE_FAILED");
  });

  test("a tick and an event that cannot be written are reported, and tried again once the lease is over", async () => {
    const { storage, state } = refusing(world().storage());
    let ticks = 0;
    const client = world().client({ storage, jobs: [ticking(() => ticks++)] });
    const run = await start(world(), async (io) => (await io.waitForEvent("e", { name: "e" })).id);
    await client.drain();
    await run.drain();
    state.which = (runId) => /^\$(schedule|event|delivered)/.test(runId ?? "");
    await client.sendEvent({ name: "e", id: "now" });
    world().clock.advance(60);
    for (let lease = 0; lease < 3; lease++) {
      await client.drain();
      await turns();
      expect(state.refused).toBe(2 * (lease + 1));
      world().clock.advance("31s");
    }
    expect(world().troubles).toHaveLength(6);
    for (const trouble of world().troubles)
      expect(trouble).toMatchObject({ code: "STORAGE_FAILED" });
    expect(String(world().troubles[0])).toContain("disk full");
    state.which = () => false;
    await client.drain();
    expect(ticks).toBeGreaterThan(0);
    expect((await run.drain()).output).toBe("now");
  });

  test("a delayed event is delivered once, also if its end is refused at first", async () => {
    const { storage, state } = refusing(world().storage());
    const hears = defineJob({
      id: "hears",
      trigger: eventTrigger({ name: "e" }),
      run: async () => {},
    });
    const client = world().client({ storage, jobs: [hears] });
    await client.sendEvent({ name: "e", id: "x" }, { deliverAfter: 60 });
    world().clock.advance(60);
    state.which = (runId) => runId === "$event/x";
    await client.drain();
    expect(world().troubles).toMatchObject([{ code: "STORAGE_FAILED" }]);
    state.which = () => false;
    world().clock.advance("31s");
    await client.drain();
    expect((await client.getRuns()).runs).toHaveLength(1);
    expect(await client.cancelEvent("x")).toBe(false);
  });

  test("runs past their deadline do not keep others of them from their end", async () => {
    const { storage, state } = refusing(world().storage());
    const job = jobOf((io) => io.wait("day", "1d"), { maxDuration: "1h" });
    const client = world().client({ storage, jobs: [job] });
    client.on("runFailed", () => {});
    const refused = await client.invoke(job, {});
    const other = await client.invoke(job, {});
    await client.drain();
    world().clock.advance("2h");
    state.which = (runId) => runId === refused.id;
    await codeOf(client.drain());
    expect((await client.getRun(other))?.status).toBe("TIMED_OUT");
    expect(world().troubles).toContainEqual(expect.objectContaining({ code: "STORAGE_FAILED" }));
    state.which = () => false;
    world().clock.advance("1m");
    await client.drain();
    expect((await client.getRun(refused))?.status).toBe("TIMED_OUT");
  });
});
