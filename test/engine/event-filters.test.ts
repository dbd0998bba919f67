import { expect, test, vi } from "vitest";
import { z } from "zod";
import { defineJob, type EventFilter, eventTrigger } from "../../src/index.js";
import { thrownCode } from "./support.js";
import { describeEngine } from "./world.js";

const echo = async (payload: unknown) => payload;
const hears = (id: string, filter: EventFilter) =>
  defineJob({ id, trigger: eventTrigger({ name: "order", filter }), run: echo });

describeEngine("event filters", (world) => {
  test("T4: an event starts the jobs whose filters it meets, and those without one", async () => {
    const client = world().client({
      jobs: [
        hears("german", { country: ["DE"] }),
        hears("big", { total: [{ $gte: 100 }] }),
        hears("both", { country: ["DE"], total: [{ $gte: 100 }] }),
        defineJob({ id: "all", trigger: eventTrigger({ name: "order" }), run: echo }),
      ],
    });
    const jobsOf = async (payload: unknown) => {
      const { runIds } = await client.sendEvent({ name: "order", payload });
      const runs = await Promise.all(runIds.map((id) => client.getRun(id)));
      return runs.map((run) => run?.jobId).sort();
    };
    expect(await jobsOf({ country: "DE", total: 5 })).toEqual(["all", "german"]);
    expect(await jobsOf({ country: "AT", total: 100 })).toEqual(["all", "big"]);
    expect(await jobsOf({ country: "DE", total: 100 })).toEqual(["all", "big", "both", "german"]);
    expect(await jobsOf(undefined)).toEqual(["all"]);
  });

  test("T4: a process without the job's code lets the same events through", async () => {
    const worker = world().client({ jobs: [hears("german", { country: ["DE"] })] });
    await worker.drain();
    const sender = world().client();
    const sent = await sender.sendEvents([
      { name: "order", payload: { country: "DE" } },
      { name: "order", payload: { country: "FR" } },
    ]);
    expect(sent.map(({ runIds }) => runIds.length)).toEqual([1, 0]);
  });

  test("T4: the filter sees the payload as it was sent, before the schema", async () => {
    const schema = z.object({ n: z.string().transform(Number) });
    const client = world().client();
    const trigger = eventTrigger({ name: "e", schema, filter: { n: ["7"] } });
    client.defineJob({ id: "j", trigger, run: echo });
    const { runIds } = await client.sendEvent({ name: "e", payload: { n: "7" } });
    await client.drain();
    expect(await client.getRun(runIds[0] ?? "")).toMatchObject({ output: { n: 7 } });
    // Also one that the schema would refuse is only refused where it is heard.
    expect((await client.sendEvent({ name: "e", payload: { n: 7 } })).runIds).toEqual([]);
  });

  test("T4: the filter sees what is stored, not the object that was handed in", async () => {
    const codec = { encode: (value: unknown) => JSON.stringify(value), decode: JSON.parse };
    const client = world().client({ codec, jobs: [hears("j", { country: ["DE"] })] });
    const payload = { country: "DE", toJSON: () => ({ country: "FR" }) };
    const { runIds } = await client.sendEvent({ name: "order", payload });
    expect(runIds).toEqual([]);
  });

  test("T4: a changed filter counts from its registration on, also for those who sent before", async () => {
    const job = (version: string, filter: EventFilter) =>
      defineJob({ id: "j", version, trigger: eventTrigger({ name: "order", filter }), run: echo });
    const sender = world().client();
    await world()
      .client({ jobs: [job("1.0.0", { a: [1] })] })
      .drain();
    expect((await sender.sendEvent({ name: "order", payload: { a: 2 } })).runIds).toHaveLength(0);
    await world()
      .client({ jobs: [job("1.1.0", { a: [2] })] })
      .drain();
    expect((await sender.sendEvent({ name: "order", payload: { a: 2 } })).runIds).toHaveLength(1);
  });

  test("a name that is heard, though not by this event, is no reason to warn", async () => {
    const warn = vi.spyOn(console, "error").mockImplementation(() => {});
    const client = world().client({ jobs: [hears("j", { country: ["DE"] })] });
    await client.sendEvent({ name: "order", payload: {} });
    expect(warn).not.toHaveBeenCalled();
    await client.sendEvent({ name: "ordre", payload: {} });
    expect(warn).toHaveBeenCalledTimes(1);
    warn.mockRestore();
  });

  test("T4: a filter that cannot be is refused where the trigger is defined", () => {
    expect(thrownCode(() => hears("j", { a: [{ $gt: 1, $lt: 2 }] as never }))).toBe(
      "FILTER_INVALID",
    );
  });
});
