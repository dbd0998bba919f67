import {
  createClient,
  cronTrigger,
  defineEvent,
  defineJob,
  type EventPayload,
  eventTrigger,
  type Io,
  intervalTrigger,
} from "pawl";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";

const client = createClient();
const paid = defineEvent({
  name: "order.paid",
  schema: z.object({ id: z.string(), at: z.string().transform((text) => new Date(text)) }),
});
const ping = defineEvent({ name: "ping" });

describe("an event's definition types", () => {
  test("the trigger", () => {
    defineJob({
      id: "a",
      trigger: eventTrigger(paid),
      run: async (payload) => {
        expectTypeOf(payload).toEqualTypeOf<{ id: string; at: Date }>();
        // @ts-expect-error parsed into a Date
        payload.at.toUpperCase();
      },
    });
    expectTypeOf<EventPayload<typeof paid>>().toEqualTypeOf<{ id: string; at: string }>();
  });

  test("what is sent", async () => {
    const sent = await client.sendEvent({ name: paid, payload: { id: "a", at: "2026-01-01" } });
    expectTypeOf(sent.runIds).toEqualTypeOf<readonly string[]>();
    // @ts-expect-error no id
    void client.sendEvent({ name: paid, payload: { at: "2026-01-01" } });
    // @ts-expect-error the schema wants a payload
    void client.sendEvent({ name: paid });
    void client.sendEvent({ name: ping });
    void client.sendEvent({ name: "anything", payload: 1 });
    // @ts-expect-error there is no such field
    void client.sendEvent({ name: "anything", payloads: 1 });
  });

  test("what is sent inside a run", () => {
    defineJob({
      id: "a",
      trigger: eventTrigger({ name: ping }),
      run: async (payload, io) => {
        expectTypeOf(payload).toBeUnknown();
        await io.sendEvent("tell", { name: paid, payload: { id: "a", at: "2026-01-01" } });
        // @ts-expect-error an id is text
        await io.sendEvent("tell", { name: paid, payload: { id: 1, at: "2026-01-01" } });
        // @ts-expect-error no key
        await io.sendEvent({ name: paid, payload: { id: "a", at: "2026-01-01" } });
      },
    });
  });
});

describe("a wait for an event", () => {
  const wait = async (io: Io) => {
    const received = await io.waitForEvent("paid", { name: paid, filter: { id: ["a"] } });
    expectTypeOf(received.payload).toEqualTypeOf<{ id: string; at: Date }>();
    expectTypeOf(received.timestamp).toEqualTypeOf<Date>();
    // @ts-expect-error not in what is sent
    void io.waitForEvent("paid", { name: paid, filter: { total: [1] } });
    // @ts-expect-error sent as text
    void io.waitForEvent("paid", { name: paid, filter: { at: [{ $gt: 1 }] } });

    const any = await io.waitForEvent("any", { name: "x", filter: { anything: ["goes"] } });
    expectTypeOf(any.payload).toBeUnknown();
    const schema = z.object({ n: z.number() });
    const typed = await io.waitForEvent("typed", { name: ["x", "y"], schema }, { timeout: "1d" });
    expectTypeOf(typed.payload).toEqualTypeOf<{ n: number }>();
    // @ts-expect-error no such property
    void io.waitForEvent("typed", { name: "x", schema, filter: { m: [1] } });
    // @ts-expect-error a name is needed
    void io.waitForEvent("nameless", {});
    // @ts-expect-error since is "now" or a Date
    void io.waitForEvent("since", { name: "x", since: "yesterday" });
  };

  test("is typed by the event's definition, or by a schema of its own", () => {
    expectTypeOf(wait).toBeFunction();
  });
});

describe("several names", () => {
  test("of text need a schema to have a type", () => {
    defineJob({
      id: "a",
      trigger: eventTrigger({ name: ["user.created", "user.updated"], schema: z.string() }),
      run: async (payload) => expectTypeOf(payload).toEqualTypeOf<string>(),
    });
    defineJob({
      id: "b",
      trigger: eventTrigger({ name: ["user.created", "user.updated"] }),
      run: async (payload) => expectTypeOf(payload).toBeUnknown(),
    });
    // @ts-expect-error a number is no name
    eventTrigger({ name: ["user.created", 1] });
  });

  test("of definitions that share a schema have its type", () => {
    const schema = z.object({ id: z.string() });
    const opened = defineEvent({ name: "opened", schema });
    const closed = defineEvent({ name: "closed", schema });
    defineJob({
      id: "a",
      trigger: eventTrigger({ name: [opened, closed] }),
      run: async (payload) => {
        expectTypeOf(payload).toEqualTypeOf<{ id: string }>();
        // @ts-expect-error there is no such property
        payload.name;
      },
    });
  });

  test("of definitions that differ take a schema of the trigger's own", () => {
    defineJob({
      id: "a",
      trigger: eventTrigger({ name: [paid, ping, "other"], schema: z.number() }),
      run: async (payload) => expectTypeOf(payload).toEqualTypeOf<number>(),
    });
    defineJob({
      id: "b",
      // Refused at run time, since no schema fits all of them.
      trigger: eventTrigger({ name: [paid, "other"] }),
      run: async (payload) => {
        expectTypeOf(payload).toBeUnknown();
        // @ts-expect-error unknown
        payload.id;
      },
    });
  });
});

describe("a schedule", () => {
  test("gives its instants to run", () => {
    defineJob({
      id: "nightly",
      trigger: cronTrigger({ cron: "0 3 * * *", timezone: "Europe/Berlin", catchUp: "one" }),
      run: async ({ ts, lastTimestamp }) => {
        expectTypeOf(ts).toEqualTypeOf<Date>();
        expectTypeOf(lastTimestamp).toEqualTypeOf<Date | undefined>();
      },
    });
    intervalTrigger({ seconds: 60, overlap: "skip", jitter: "5s" });
    // @ts-expect-error no such policy
    intervalTrigger({ seconds: 60, overlap: "queue" });
    // @ts-expect-error an interval has seconds
    intervalTrigger({ minutes: 1 });
    // @ts-expect-error an expression is text
    cronTrigger({ cron: 5 });
  });
});
