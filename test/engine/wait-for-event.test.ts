import { expect, test } from "vitest";
import { z } from "zod";
import { defineEvent, eventTrigger, type Io, isPawlError } from "../../src/index.js";
import { start, turns } from "./drive.js";
import { codeOf, until } from "./support.js";
import { describeEngine } from "./world.js";

const timeoutOf = async (promise: Promise<unknown>) => {
  try {
    return await promise;
  } catch (error) {
    if (!isPawlError(error, "WAIT_TIMEOUT")) throw error;
    return "timeout";
  }
};

describeEngine("waitForEvent", (world) => {
  test("I3: parks until the event comes, and gives all of it", async () => {
    const run = await start(world(), (io) => io.waitForEvent("paid", { name: "paid" }));
    expect((await run.drain()).status).toBe("WAITING");
    const timestamp = new Date("2026-01-02T00:00:00Z");
    const sent = { name: "paid", id: "e1", payload: { n: 1 }, context: { by: "a" }, timestamp };
    await run.client.sendEvent(sent);
    expect(await run.drain()).toMatchObject({
      status: "COMPLETED",
      output: { ...sent, source: "pawl" },
    });
  });

  test("I3: an event that came before the wait, but after the run began, is not lost", async () => {
    const run = await start(world(), async (io) => {
      await io.wait("busy", "1h");
      return (await io.waitForEvent("paid", { name: "paid" })).payload;
    });
    await run.drain();
    await run.client.sendEvent({ name: "paid", payload: "early" });
    expect((await run.finish()).output).toBe("early");
  });

  test("I3: an event from before the run began does not count", async () => {
    const client = world().client();
    await client.sendEvent({ name: "paid" });
    world().clock.advance(1);
    const run = await start(world(), (io) => io.waitForEvent("paid", { name: "paid" }));
    expect((await run.drain()).status).toBe("WAITING");
  });

  test('I3: since "now" and since a date decide what is early', async () => {
    const outputs: unknown[] = [];
    for (const since of ["now", "instant"]) {
      const run = await start(world(), async (io, context) => {
        const begin = context.run.startedAt.getTime();
        await io.wait("busy", "1h");
        const from = since === "now" ? "now" : new Date(begin + 1_800_000);
        const received = await io.waitForEvent("e", { name: since, since: from });
        return received.payload;
      });
      await run.drain();
      await run.client.sendEvent({ name: since, payload: "first" });
      world().clock.advance("40m");
      await run.client.sendEvent({ name: since, payload: "second" });
      world().clock.advance("20m");
      await run.drain();
      world().clock.advance(1);
      await run.client.sendEvent({ name: since, payload: "third" });
      outputs.push((await run.finish()).output);
    }
    expect(outputs).toEqual(["third", "second"]);
  });

  test("I3: only an event that meets the filter and has the source is received", async () => {
    const run = await start(world(), async (io) => {
      const filter = { id: ["b"], n: [{ $gt: 1 }] };
      const { payload } = await io.waitForEvent("e", { name: "e", source: "crm", filter });
      return payload;
    });
    await run.drain();
    await run.client.sendEvent({ name: "e", source: "crm", payload: { id: "a", n: 2 } });
    await run.client.sendEvent({ name: "e", source: "crm", payload: { id: "b", n: 1 } });
    await run.client.sendEvent({ name: "e", payload: { id: "b", n: 2 } });
    expect((await run.drain()).status).toBe("WAITING");
    await run.client.sendEvent({ name: "e", source: "crm", payload: { id: "b", n: 3 } });
    expect((await run.drain()).output).toEqual({ id: "b", n: 3 });
  });

  test("I3: each wait in a row gets the next event, in the order in which they were sent", async () => {
    const run = await start(world(), async (io) => {
      const seen: unknown[] = [];
      for (let i = 0; i < 4; i++)
        seen.push((await io.waitForEvent(["e", i], { name: "e" })).payload);
      return seen;
    });
    await run.client.sendEvent({ name: "e", payload: 0 });
    await run.drain();
    await run.client.sendEvents([1, 2].map((payload) => ({ name: "e", payload })));
    await run.drain();
    await run.client.sendEvent({ name: "e", payload: 3 });
    expect((await run.drain()).output).toEqual([0, 1, 2, 3]);
  });

  test("E8: one event settles all open waits that it fits", async () => {
    const run = await start(world(), async (io) => {
      const [a, b, late] = await Promise.all([
        io.waitForEvent("a", { name: "e" }),
        io.waitForEvent("b", { name: ["e", "other"] }),
        timeoutOf(io.waitForEvent("c", { name: "other" }, { timeout: "1d" })),
      ]);
      const next = await timeoutOf(io.waitForEvent("next", { name: "e" }, { timeout: "1d" }));
      return [a.id, b.id, late, next];
    });
    await run.drain();
    await run.client.sendEvent({ name: "e", id: "e1" });
    expect((await run.finish()).output).toEqual(["e1", "e1", "timeout", "timeout"]);
  });

  test("I3: the event that started the run is not what it waits for", async () => {
    const client = world().client();
    client.defineJob({
      id: "j",
      trigger: eventTrigger({ name: "e" }),
      run: async (_, io) => (await io.waitForEvent("next", { name: "e" })).id,
    });
    const { runIds } = await client.sendEvent({ name: "e", id: "first" });
    await client.drain();
    expect(await client.getRun(runIds[0] ?? "")).toMatchObject({ status: "WAITING" });
    await client.sendEvent({ name: "e", id: "second" });
    await client.drain();
    expect(await client.getRun(runIds[0] ?? "")).toMatchObject({ output: "second" });
  });

  test("I5: a timeout rejects with WAIT_TIMEOUT, and an event after it is too late", async () => {
    const run = await start(world(), (io) =>
      timeoutOf(io.waitForEvent("e", { name: "e" }, { timeout: "1h" })),
    );
    await run.drain();
    world().clock.advance("59m");
    expect((await run.drain()).status).toBe("WAITING");
    world().clock.advance("1m");
    expect((await run.drain()).output).toBe("timeout");
    await run.client.sendEvent({ name: "e" });
    expect((await run.drain()).output).toBe("timeout");
  });

  test("E6: an event that came before the timeout wins, however late the run is looked at", async () => {
    const run = await start(world(), async (io) =>
      timeoutOf(io.waitForEvent("e", { name: "e" }, { timeout: "1h" }).then(({ id }) => id)),
    );
    await run.drain();
    await world().client().sendEvent({ name: "e", id: "in time" });
    world().clock.advance("1d");
    expect((await run.drain()).output).toBe("in time");
  });

  test("the payload is typed and parsed by the definition; one that does not fit is an error", async () => {
    const paid = defineEvent({ name: "paid", schema: z.object({ n: z.coerce.number<string>() }) });
    const run = await start(world(), async (io) => {
      const good = await io.waitForEvent("good", paid);
      const bad = await codeOf(io.waitForEvent("bad", { name: paid }));
      const next = await io.waitForEvent("next", { name: paid });
      return [good.payload.n, bad, next.payload.n];
    });
    await run.drain();
    await run.client.sendEvent({ name: "paid", payload: { n: "1" } });
    await run.client.sendEvent({ name: "paid", payload: {} });
    await run.client.sendEvent({ name: "paid", payload: { n: "2" } });
    expect((await run.drain()).output).toEqual([1, "PAYLOAD_INVALID", 2]);
  });

  test("a losing branch of waitForAny listens no more", async () => {
    const run = await start(world(), async (io) => {
      const first = await io.waitForAny("any", {
        event: (branch) => branch.waitForEvent("e", { name: "e" }),
        timer: (branch) => branch.wait("w", "1h"),
      });
      await io.wait("after", "1d");
      return first.name;
    });
    await run.drain();
    world().clock.advance("1h");
    await run.drain();
    await run.client.sendEvent({ name: "e" });
    await run.client.drain();
    const [any] = (await run.read()).tasks ?? [];
    expect(any?.tasks?.map(({ path, status }) => [path, status])).toEqual([
      ["any/timer/w", "COMPLETED"],
      ["any/event/e", "CANCELED"],
    ]);
    expect((await run.finish()).output).toBe("timer");
  });

  test("a branch that loses before it is recorded holds nothing up", async () => {
    const storage = world().storage();
    const getValue = storage.getValue.bind(storage);
    storage.getValue = async (key) => {
      if (key.startsWith("$paths:")) await turns(30);
      return getValue(key);
    };
    const program = async (io: Io) => {
      const { name } = await io.waitForAny("any", {
        event: (branch) => branch.waitForEvent("e", { name: "e" }),
        task: (branch) => branch.runTask("t", () => "quick"),
      });
      await io.wait("after", "1h");
      const later = await io.waitForEvent("later", { name: "e" });
      return [name, later.id];
    };
    const run = await start(world(), program, { client: { storage } });
    expect((await run.drain()).status).toBe("WAITING");
    await run.client.sendEvent({ name: "e", id: "e1" });
    expect((await run.finish()).output).toEqual(["task", "e1"]);
  });

  test("E8: an event that a losing branch had received is there for the next wait", async () => {
    const run = await start(world(), async (io) => {
      const seen: unknown[] = [];
      for (const turn of [1, 2]) {
        const { name, value } = await io.waitForAny(["turn", turn], {
          msg: (branch) => branch.waitForEvent("e", { name: "msg" }),
          stop: (branch) => branch.waitForEvent("e", { name: "stop" }),
        });
        seen.push(name, value.id);
      }
      return seen;
    });
    await run.drain();
    await world()
      .client()
      .sendEvents([
        { name: "msg", id: "m" },
        { name: "stop", id: "s" },
      ]);
    const output = (await run.drain()).output as string[];
    expect([...output].sort()).toEqual(["m", "msg", "s", "stop"]);
  });

  test("E8: a tag of the user's that looks like a topic is no event", async () => {
    const run = await start(world(), async (io) => (await io.waitForEvent("e", { name: "e" })).id, {
      job: { tags: ["event:e"] },
    });
    await run.drain();
    const other = await run.client.invoke("job", {}, { tags: ["event:e"] });
    await run.client.drain();
    expect((await run.read()).status).toBe("WAITING");
    await run.client.cancelRun(other);
    await run.client.sendEvent({ name: "e", id: "real" });
    expect((await run.drain()).output).toBe("real");
  });

  test("E8: runs that wait for different values of one property hear of their own only", async () => {
    const client = world().client();
    client.defineJob({
      id: "j",
      trigger: eventTrigger({ name: "begin" }),
      run: async (payload, io) => {
        const id = String(payload);
        const filter = { customer: { id: [id] } };
        return (await io.waitForEvent("e", { name: "e", filter })).payload;
      },
    });
    const begun = await client.sendEvents(
      ["a", "b", "c"].map((payload) => ({ name: "begin", payload })),
    );
    await client.drain();
    const payload = { customer: { id: "b" } };
    await client.sendEvent({ name: "e", payload });
    await client.drain();
    const runs = await Promise.all(begun.map(({ runIds }) => client.getRun(runIds[0] ?? "")));
    expect(runs.map((run) => run?.output)).toEqual([undefined, payload, undefined]);
    expect(runs.map((run) => run?.status)).toEqual(["WAITING", "COMPLETED", "WAITING"]);
    expect(runs.map((run) => run?.executionCount)).toEqual([1, world().maxParked > 0 ? 1 : 2, 1]);
  });

  test("events that were sent before anybody had ever waited for their name are looked at, too", async () => {
    const run = await start(world(), async (io) => {
      await io.wait("busy", "1h");
      const filter = { id: ["x"] };
      const seen = [await io.waitForEvent("first", { name: "e", filter })];
      seen.push(await io.waitForEvent("second", { name: "e", filter }));
      seen.push(await io.waitForEvent("third", { name: "e" }));
      return seen.map(({ payload }) => payload);
    });
    await run.drain();
    await run.client.sendEvent({ name: "e", payload: { id: "x", at: 1 } });
    world().clock.advance("10m");
    const other = await start(world(), (io) => io.waitForEvent("any", { name: "e" }));
    await other.drain();
    await run.client.sendEvent({ name: "e", payload: { id: "x", at: 2 } });
    await run.client.sendEvent({ name: "e", payload: { id: "y", at: 3 } });
    expect((await run.finish()).output).toEqual([
      { id: "x", at: 1 },
      { id: "x", at: 2 },
      { id: "y", at: 3 },
    ]);
  });

  test("a sender that had looked before anybody waited reaches who waits now", async () => {
    const sender = world().client();
    await sender.sendEvent({ name: "e" });
    world().clock.advance(1);
    const run = await start(world(), async (io) => (await io.waitForEvent("e", { name: "e" })).id);
    await run.drain();
    await sender.sendEvent({ name: "e", id: "now" });
    expect((await run.drain()).output).toBe("now");
  });

  test("a started worker resumes the run by itself", async () => {
    const run = await start(world(), async (io) => (await io.waitForEvent("e", { name: "e" })).id);
    await run.client.start();
    await until(async () => (await run.read()).status === "WAITING");
    await run.client.sendEvent({ name: "e", id: "e1" });
    await until(async () => (await run.read()).status === "COMPLETED");
    expect((await run.read()).output).toBe("e1");
  });

  test.each<[what: string, wait: object, options: object]>([
    ["no name", {}, {}],
    ["an empty list of names", { name: [] }, {}],
    ["an unknown option", { name: "e", filters: {} }, {}],
    ["an invalid filter", { name: "e", filter: { a: 1 } }, {}],
    ["an invalid since", { name: "e", since: new Date("x") }, {}],
    ["an invalid timeout", { name: "e" }, { timeout: "soon" }],
  ])("with %s rejects before anything is recorded", async (_what, wait, options) => {
    const run = await start(world(), (io) =>
      codeOf(io.waitForEvent("e", wait as { name: string }, options)),
    );
    const { output, tasks } = await run.finish();
    expect(output).toMatch(/^(EVENT_INVALID|OPTION_INVALID|OPTION_UNKNOWN|FILTER_INVALID)$/);
    expect(tasks).toEqual([]);
  });

  test("E8: more waits than are told at a time all hear of an event", async () => {
    const run = await start(world(), async (io) => {
      const waits = Array.from({ length: 501 }, (_, n) => io.waitForEvent(["e", n], { name: "e" }));
      return (await Promise.all(waits)).filter(({ id }) => id === "e1").length;
    });
    await run.drain();
    await run.client.sendEvent({ name: "e", id: "e1" });
    expect((await run.drain()).output).toBe(501);
  });

  test("waits by many properties share the topic of the name, and hear all the same", async () => {
    const run = await start(world(), async (io) => {
      const waits = Array.from({ length: 60 }, (_, n) =>
        io.waitForEvent(["e", n], { name: "e", filter: { [`p${n}`]: [true] } }),
      );
      return (await Promise.all(waits)).length;
    });
    await run.drain();
    const payload = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`p${n}`, true]));
    await run.client.sendEvent({ name: "e", payload });
    expect((await run.drain()).output).toBe(60);
  });

  test("an event that cannot be delivered is given up after some executions, and holds nobody up", async () => {
    let isBroken = false;
    const codec = {
      encode: (value: unknown) => JSON.stringify(value ?? null),
      decode: (text: string): unknown => {
        if (isBroken && text.includes("poison")) throw new Error("cannot be decoded");
        return JSON.parse(text);
      },
    };
    const program = async (io: Io) => {
      const received = await io.waitForEvent("e", { name: "e", filter: { n: [1] } });
      return received.id;
    };
    const run = await start(world(), program, { client: { codec } });
    await run.drain();
    await run.client.sendEvent({ name: "e", id: "bad", payload: "poison" });
    isBroken = true;
    for (let execution = 0; execution < 7; execution++) {
      await run.client.drain();
      world().clock.advance("31s");
    }
    expect(world().troubles.map(String).join()).toContain("$event bad could not be delivered");
    const before = world().troubles.length;
    world().clock.advance("1d");
    await run.client.drain();
    expect(world().troubles).toHaveLength(before);
  });

  test("explainRun says which event a run waits for, and until when", async () => {
    const run = await start(world(), (io) =>
      io.waitForEvent("e", { name: "e", filter: { n: [1] } }, { timeout: "1h" }),
    );
    await run.drain();
    expect(await run.client.explainRun(run.id)).toMatch(
      /waits at "e" for an event "e" from source "pawl" whose payload meets {"n":\[1\]}\. It stops waiting at 2026/,
    );
  });
});
