import { expect, test } from "vitest";
import { start } from "./drive.js";
import { codeOf } from "./support.js";
import { describeEngine } from "./world.js";

const wrongIds = [undefined, null, 7, {}, "", "a\0b", "\ud800", "x".repeat(600)] as never[];

describeEngine("what cannot be meant is refused by code", (world) => {
  test.each<[what: string, options: object]>([
    ["two times of delivery", { deliverAt: new Date(), deliverAfter: "1h" }],
    ["deliverAt null", { deliverAt: null }],
    ["deliverAt true", { deliverAt: true }],
    ["deliverAt that is no Date", { deliverAt: "tomorrow" }],
    ["an invalid deliverAt", { deliverAt: new Date("x") }],
    ["deliverAfter null", { deliverAfter: null }],
    ["deliverAfter beyond the last date", { deliverAfter: 8.64e12 }],
    ["an account that is null", { accountId: null }],
  ])("an event with %s", async (_what, options) => {
    const client = world().client();
    const event = { name: "e", id: "e" };
    expect(await codeOf(client.sendEvent(event, options))).toBe("OPTION_INVALID");
    const run = await start(world(), (io) => codeOf(io.sendEvent("send", event, options)));
    expect((await run.drain()).output).toBe("OPTION_INVALID");
    expect(await client.getEvent("e")).toBeUndefined();
  });

  test.each([null, 0, "2026-01-01", new Date("x")])(
    "an event of the time %j",
    async (timestamp) => {
      const client = world().client();
      const event = { name: "e", id: "e", timestamp: timestamp as Date };
      expect(await codeOf(client.sendEvent(event))).toBe("EVENT_INVALID");
      expect(await client.getEvent("e")).toBeUndefined();
    },
  );

  test("what is no event, or no list of events, also inside a run", async () => {
    const client = world().client();
    const run = await start(world(), async (io) => [
      await codeOf(io.sendEvent("null", null as never)),
      await codeOf(io.sendEvent("text", "e" as never)),
      await codeOf(io.sendEvents("none", undefined as never)),
      await codeOf(io.sendEvents("one", { name: "e" } as never)),
      await codeOf(io.sendEvents("of null", [null as never])),
    ]);
    expect(new Set((await run.drain()).output as string[])).toEqual(new Set(["EVENT_INVALID"]));
    expect(await codeOf(client.sendEvent(null as never))).toBe("EVENT_INVALID");
    expect(await codeOf(client.sendEvents(null as never))).toBe("EVENT_INVALID");
  });

  test("ids of events, jobs and schedules that nothing can have", async () => {
    const client = world().client();
    const schedule = client.defineDynamicSchedule({ id: "dynamic" });
    for (const id of wrongIds) {
      const calls = [
        client.getEvent(id),
        client.cancelEvent(id),
        client.pauseSchedule(id),
        client.resumeSchedule(id),
        client.removeJob(id),
        schedule.unregister(id),
        schedule.register(id, { seconds: 60 }),
      ];
      const codes = await Promise.all(calls.map(codeOf));
      expect(codes).toEqual(calls.map(() => "OPTION_INVALID"));
    }
    const run = await start(world(), () => codeOf(schedule.unregister(7 as never)));
    const { output, tasks } = await run.drain();
    expect(output).toBe("OPTION_INVALID");
    expect(tasks).toEqual([]);
  });
});
