import { expect, test } from "vitest";
import { z } from "zod";
import { defineEvent, defineJob, eventTrigger, invokeTrigger } from "../../src/index.js";
import { Machine } from "./drive.js";
import { codeOf, numbered, until } from "./support.js";
import { describeEngine } from "./world.js";

const echo = async (payload: unknown) => payload;

describeEngine("events", (world) => {
  test("T1: every job that names the event gets one run, and no other job does", async () => {
    const client = world().client();
    client.defineJob({ id: "one", trigger: eventTrigger({ name: "a" }), run: echo });
    client.defineJob({ id: "either", trigger: eventTrigger({ name: ["a", "b"] }), run: echo });
    client.defineJob({ id: "other", trigger: eventTrigger({ name: "a.b" }), run: echo });
    client.defineJob({ id: "invoked", trigger: invokeTrigger(), run: echo });
    const a = await client.sendEvent({ name: "a", payload: 1 });
    const b = await client.sendEvent({ name: "b", payload: 2 });
    expect(a.runIds).toHaveLength(2);
    expect(b.runIds).toHaveLength(1);
    await client.drain();
    const { runs } = await client.getRuns();
    expect(runs.map((run) => run.jobId).sort()).toEqual(["either", "either", "one"]);
    expect(runs.every((run) => run.status === "COMPLETED")).toBe(true);
  });

  test("T1: a name that differs in case or only starts alike is another event", async () => {
    const client = world().client();
    client.defineJob({ id: "j", trigger: eventTrigger({ name: "user" }), run: echo });
    for (const name of ["User", "user.x", "use"])
      expect((await client.sendEvent({ name })).runIds).toEqual([]);
  });

  test("T3: an event is heard by triggers of its own source only", async () => {
    const client = world().client();
    client.defineJob({ id: "plain", trigger: eventTrigger({ name: "e" }), run: echo });
    client.defineJob({ id: "crm", trigger: eventTrigger({ name: "e", source: "crm" }), run: echo });
    const plain = await client.sendEvent({ name: "e" });
    const crm = await client.sendEvent({ name: "e", source: "crm" });
    const jobsOf = async (ids: readonly string[]) =>
      Promise.all(ids.map(async (id) => (await client.getRun(id))?.jobId));
    expect(await jobsOf(plain.runIds)).toEqual(["plain"]);
    expect(await jobsOf(crm.runIds)).toEqual(["crm"]);
  });

  test("T2: run gets the payload as the schema gives it out, the run shows it as it was sent", async () => {
    const client = world().client();
    const event = defineEvent({
      name: "paid",
      schema: z.object({ at: z.iso.datetime().transform((text) => new Date(text)) }),
    });
    let got: unknown;
    client.defineJob({
      id: "j",
      trigger: eventTrigger(event),
      run: async (payload) => {
        got = payload;
      },
    });
    const payload = { at: "2026-01-01T00:00:00Z" };
    const { runIds } = await client.sendEvent({ name: event, payload });
    await client.drain();
    expect(got).toEqual({ at: new Date("2026-01-01T00:00:00Z") });
    expect(await client.getRun(runIds[0] ?? "")).toMatchObject({ payload });
  });

  test("T2: the schema is asked once per run, not once per execution", async () => {
    let parsed = 0;
    const client = world().client();
    client.defineJob({
      id: "j",
      trigger: eventTrigger({
        name: "e",
        schema: z.number().transform((n) => n + ++parsed),
      }),
      run: async (payload, io) => {
        await io.wait("day", "1d");
        return payload;
      },
    });
    const { runIds } = await client.sendEvent({ name: "e", payload: 10 });
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    expect(await client.getRun(runIds[0] ?? "")).toMatchObject({ output: 11 });
    expect(parsed).toBe(1);
  });

  test("R5: a payload that the schema refuses makes an INVALID_PAYLOAD run, and run is never called", async () => {
    const client = world().client();
    let called = 0;
    client.defineJob({
      id: "strict",
      trigger: eventTrigger({ name: "e", schema: numbered }),
      run: async () => {
        called++;
      },
    });
    client.defineJob({ id: "easy", trigger: eventTrigger({ name: "e" }), run: echo });
    const { runIds } = await client.sendEvent({ name: "e", payload: { n: "one" } });
    await client.drain();
    const runs = await Promise.all(runIds.map((id) => client.getRun(id)));
    const strict = runs.find((run) => run?.jobId === "strict");
    expect(strict).toMatchObject({ status: "INVALID_PAYLOAD", executionCount: 0 });
    expect(strict?.startedAt).toBeUndefined();
    expect(strict?.error).toMatchObject({ code: "PAYLOAD_INVALID", issues: [{ path: ["n"] }] });
    expect(runs.find((run) => run?.jobId === "easy")?.status).toBe("COMPLETED");
    expect(called).toBe(0);
  });

  test("R5: so it does if the sender has no code and the claimer admits", async () => {
    let called = 0;
    const job = defineJob({
      id: "strict",
      trigger: eventTrigger({ name: "e", schema: numbered }),
      run: async () => {
        called++;
      },
    });
    const worker = world().client({ jobs: [job] });
    await worker.drain();
    const sender = world().client();
    const { runIds } = await sender.sendEvent({ name: "e", payload: { n: "one" } });
    const [id = ""] = runIds;
    expect(await sender.getRun(id)).toMatchObject({ status: "QUEUED" });
    await worker.drain();
    const run = await sender.getRun(id);
    expect(run).toMatchObject({ status: "INVALID_PAYLOAD", executionCount: 0 });
    expect(run?.startedAt).toBeUndefined();
    expect(run?.error).toMatchObject({ code: "PAYLOAD_INVALID", issues: [{ path: ["n"] }] });
    expect(called).toBe(0);
  });

  test("R5: a schema or a tags function that throws fails that run and no other", async () => {
    const client = world().client();
    client.defineJob({
      id: "broken",
      trigger: eventTrigger({ name: "e" }),
      tags: () => {
        throw new Error("no tags today");
      },
      run: echo,
    });
    client.defineJob({ id: "fine", trigger: eventTrigger({ name: "e" }), run: echo });
    await client.sendEvent({ name: "e" });
    await client.drain();
    const { runs } = await client.getRuns();
    expect(runs.find((run) => run.jobId === "broken")).toMatchObject({
      status: "FAILED",
      error: { message: "no tags today" },
    });
    expect(runs.find((run) => run.jobId === "fine")?.status).toBe("COMPLETED");
  });

  test("T5: id, name, context, timestamp and account are visible in run's context", async () => {
    const client = world().client();
    let seen: unknown;
    client.defineJob({
      id: "j",
      trigger: eventTrigger({ name: "e" }),
      run: async (_payload, _io, context) => {
        seen = { event: context.event, account: context.account };
      },
    });
    const timestamp = new Date("2025-05-05T05:05:05Z");
    const sent = await client.sendEvent(
      { name: "e", id: "e-1", context: { ip: "::1" }, timestamp },
      { accountId: "acc" },
    );
    expect(sent.id).toBe("e-1");
    await client.drain();
    expect(seen).toEqual({
      event: { id: "e-1", name: "e", context: { ip: "::1" }, timestamp },
      account: { id: "acc", metadata: undefined },
    });
  });

  test("T6: an event id is accepted once; the second send answers the runs of the first", async () => {
    const client = world().client();
    client.defineJob({ id: "j", trigger: eventTrigger({ name: "e" }), run: echo });
    const first = await client.sendEvent({ name: "e", id: "x", payload: 1 });
    const second = await client.sendEvent({ name: "e", id: "x", payload: 2 });
    expect(second).toEqual(first);
    await client.drain();
    const third = await client.sendEvent({ name: "other", id: "x" });
    expect(third).toEqual(first);
    expect((await client.getRuns()).runs).toHaveLength(1);
    expect(await client.getRun(first.runIds[0] ?? "")).toMatchObject({ output: 1 });
  });

  test("T6: what a replay of the run started is not a run of the event", async () => {
    const client = world().client();
    client.defineJob({ id: "j", trigger: eventTrigger({ name: "e" }), run: echo });
    const first = await client.sendEvent({ name: "e", id: "x" });
    await client.replayRun(first.runIds[0] ?? "");
    expect(await client.sendEvent({ name: "e", id: "x" })).toEqual(first);
  });

  test("T6: senders in several processes that use one id at a time make one run per job", async () => {
    const jobs = [
      defineJob({ id: "a", trigger: eventTrigger({ name: "e" }), run: echo }),
      defineJob({ id: "b", trigger: eventTrigger({ name: "e" }), run: echo }),
    ];
    const clients = [
      world().client({ jobs }),
      world().client({ jobs }),
      world().client(),
      world().client(),
    ];
    await clients[0]?.drain();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        clients[index % 4]?.sendEvent({ name: "e", id: "once", payload: index }),
      ),
    );
    const ids = new Set(answers.map((answer) => JSON.stringify(answer)));
    expect(ids.size).toBe(1);
    await clients[1]?.drain();
    expect((await clients[0]?.getRuns())?.runs).toHaveLength(2);
  });

  test("T9: sendEvents stores all events or none, and answers in order", async () => {
    const client = world().client();
    client.defineJob({ id: "j", trigger: eventTrigger({ name: "e" }), run: echo });
    expect(
      await codeOf(
        client.sendEvents([
          { name: "e", id: "1" },
          { name: "e", payload: () => {} },
          { name: "e" },
        ]),
      ),
    ).toBe("VALUE_NOT_SERIALIZABLE");
    expect((await client.getRuns()).runs).toEqual([]);
    const sent = await client.sendEvents([
      { name: "e", id: "1", payload: "one" },
      { name: "e", id: "2", payload: "two" },
      { name: "e", id: "1", payload: "again" },
    ]);
    expect(sent.map(({ id }) => id)).toEqual(["1", "2", "1"]);
    expect(sent[2]).toEqual(sent[0]);
    await client.drain();
    const { runs } = await client.getRuns();
    expect(runs.map((run) => run.payload)).toEqual(["two", "one"]);
    expect(await client.sendEvents([])).toEqual([]);
  });

  test("T6, T9: an id that was sent before holds the other events of the call up in nothing", async () => {
    const client = world().client();
    client.defineJob({ id: "j", trigger: eventTrigger({ name: "e" }), run: echo });
    const old = await client.sendEvent({ name: "e", id: "old" });
    const [again, fresh] = await client.sendEvents([
      { name: "e", id: "old" },
      { name: "e", id: "new" },
    ]);
    expect(again).toEqual(old);
    expect(fresh?.runIds).toHaveLength(1);
  });

  test.for([
    ["no name", {}, {}, "EVENT_INVALID"],
    ["an empty name", { name: "" }, {}, "OPTION_INVALID"],
    ["an unknown field", { name: "e", data: 1 }, {}, "OPTION_UNKNOWN"],
    ["an unknown option", { name: "e" }, { delay: 1 }, "OPTION_UNKNOWN"],
    ["an empty id", { name: "e", id: "" }, {}, "OPTION_INVALID"],
    ["an id that is too long", { name: "e", id: "x".repeat(513) }, {}, "OPTION_INVALID"],
    ["an invalid timestamp", { name: "e", timestamp: new Date(Number.NaN) }, {}, "EVENT_INVALID"],
    ["a timestamp that is none", { name: "e", timestamp: "yesterday" }, {}, "EVENT_INVALID"],
    ["an invalid time of delivery", { name: "e" }, { deliverAt: new Date("x") }, "OPTION_INVALID"],
    ["an invalid delay", { name: "e" }, { deliverAfter: "soon" }, "OPTION_INVALID"],
    [
      "a payload that cannot be stored",
      { name: "e", payload: { f() {} } },
      {},
      "VALUE_NOT_SERIALIZABLE",
    ],
  ] as const)(
    "T5: an event with %s is refused and not stored",
    async ([, event, options, code]) => {
      const client = world().client();
      client.defineJob({ id: "j", trigger: eventTrigger({ name: "e" }), run: echo });
      expect(await codeOf(client.sendEvent(event as never, options as never))).toBe(code);
      expect((await client.getRuns()).runs).toEqual([]);
    },
  );

  test("T5: sendEvents that gets no list, or no event, says so", async () => {
    const client = world().client();
    expect(await codeOf(client.sendEvents("e" as never))).toBe("EVENT_INVALID");
    expect(await codeOf(client.sendEvent(undefined as never))).toBe("EVENT_INVALID");
  });

  test("T5: io.sendEvent makes one event, also if the process dies between send and record", async () => {
    const define = () => [
      defineJob({
        id: "sender",
        trigger: invokeTrigger(),
        run: async (_payload, io) => {
          const sent = await io.sendEvent("tell", { name: "told", payload: 1 });
          const list = await io.sendEvents("more", [{ name: "told" }, { name: "told", id: "own" }]);
          return [sent, ...list].map(({ runIds }) => runIds.length);
        },
      }),
      defineJob({ id: "hearer", trigger: eventTrigger({ name: "told" }), run: echo }),
    ];
    const doomed = new Machine(world(), { jobs: define() });
    const handle = await doomed.client.invoke("sender");
    void doomed.client.drain();
    const witness = world().client();
    const heard = async () => (await witness.getRuns({ jobId: "hearer" })).runs.length;
    await until(async () => (await heard()) > 0);
    doomed.freeze();
    world().clock.advance("31s");
    const heir = world().client({ jobs: define() });
    await heir.drain();
    expect(await heir.getRun(handle)).toMatchObject({ status: "COMPLETED", output: [1, 1, 1] });
    expect(await heard()).toBe(3);
  });

  test("T5: a replay does not send again", async () => {
    const client = world().client();
    client.defineJob({ id: "hearer", trigger: eventTrigger({ name: "told" }), run: echo });
    const sender = client.defineJob({
      id: "sender",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const sent = await io.sendEvent("tell", { name: "told" });
        await io.wait("day", "1d");
        return sent.runIds.length;
      },
    });
    const handle = await client.invoke(sender);
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ output: 1 });
    expect((await client.getRuns({ jobId: "hearer" })).runs).toHaveLength(1);
  });

  test("G11: an event that was acknowledged is there for the next process", async () => {
    const job = defineJob({ id: "j", trigger: eventTrigger({ name: "e" }), run: echo });
    const doomed = new Machine(world(), { jobs: [job] });
    const { runIds } = await doomed.client.sendEvent({ name: "e", payload: "kept" });
    doomed.freeze();
    const heir = world().client({ jobs: [job] });
    await heir.drain();
    expect(await heir.getRun(runIds[0] ?? "")).toMatchObject({ output: "kept" });
  });
});
