import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  createClient,
  createIntegration,
  defineEvent,
  defineJob,
  eventTrigger,
  type Integration,
  type InvokeResult,
  invokeTrigger,
  type Schema,
} from "../../src/index.js";
import { memory } from "../../src/storage/memory/index.js";
import { turns } from "./drive.js";
import { codeOf, thrownCode } from "./support.js";
import { describeEngine } from "./world.js";

const run = async () => "done";

describeEngine("definitions", (world) => {
  test("D1: a job runs when its trigger fires, and what run returns is the run's output", async () => {
    const client = world().client();
    client.defineJob({
      id: "welcome",
      name: "Welcome mail",
      version: "1.2.3",
      trigger: eventTrigger({ name: "user.signup" }),
      run: async (payload) => ({ hello: payload }),
    });
    const { runIds } = await client.sendEvent({ name: "user.signup", payload: "ann" });
    await client.drain();
    expect(runIds).toHaveLength(1);
    expect(await client.getRun(runIds[0] ?? "")).toMatchObject({
      jobId: "welcome",
      version: "1.2.3",
      status: "COMPLETED",
      output: { hello: "ann" },
    });
  });

  test("D3: each run keeps the version that started it, and versions are compared as numbers", async () => {
    const trigger = eventTrigger({ name: "e" });
    const newer = world().client({
      jobs: [defineJob({ id: "j", version: "1.0.10", trigger, run })],
    });
    await newer.drain();
    const older = world().client({
      jobs: [defineJob({ id: "j", version: "1.0.9", trigger, run })],
    });
    await older.drain();
    // The older worker starts later, as in a rolling deploy, and must not take the newer one's place.
    const sender = world().client();
    const { runIds } = await sender.sendEvent({ name: "e" });
    expect(await sender.getRun(runIds[0] ?? "")).toMatchObject({ version: "1.0.10" });
  });

  test("D4: a disabled job starts nothing by event, invoke or replay, and its parked runs finish", async () => {
    const define = (enabled: boolean) =>
      defineJob({
        id: "j",
        enabled,
        trigger: eventTrigger({ name: "e" }),
        run: async (_payload, io) => io.wait("day", "1d"),
      });
    const on = world().client({ jobs: [define(true)] });
    const { runIds } = await on.sendEvent({ name: "e" });
    const [id = ""] = runIds;
    await on.drain();
    await on.stop({ timeout: 0 });

    const off = world().client({ jobs: [define(false)] });
    const sender = world().client();
    await off.drain();
    expect((await off.sendEvent({ name: "e" })).runIds).toEqual([]);
    expect((await sender.sendEvent({ name: "e" })).runIds).toEqual([]);
    expect(await codeOf(off.invoke("j"))).toBe("JOB_DISABLED");
    expect(await codeOf(sender.invoke("j"))).toBe("JOB_DISABLED");
    expect(await codeOf(off.replayRun(id))).toBe("JOB_DISABLED");
    expect(await codeOf(sender.replayRun(id))).toBe("JOB_DISABLED");
    world().clock.advance("1d");
    await off.drain();
    expect(await off.getRun(id)).toMatchObject({ status: "COMPLETED" });
    expect((await off.getRuns()).runs).toHaveLength(1);
  });

  test("D5: each execution has one instance of each integration, under its key", async () => {
    const clones: string[] = [];
    const greeter: Integration<{ greet(name: string): string }> = {
      id: "greeter",
      metadata: { id: "greeter", name: "Greeter" },
      authSource: "LOCAL",
      cloneForRun: (_io, connectionKey) => {
        clones.push(connectionKey);
        return { greet: (name) => `hello ${name}` };
      },
    };
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      integrations: { greeter },
      run: async (_payload, io) => {
        expect(io.greeter).toBe(io.greeter);
        return io.greeter.greet("ann");
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ output: "hello ann" });
    expect(clones).toEqual(["greeter"]);
  });

  test("D6: log lines below the level are not stored, at the job or else at the client", async () => {
    const storage = world().storage();
    const client = world().client({ logLevel: "error", storage });
    const say = async (
      _payload: unknown,
      io: { logger: { info(m: string): void; error(m: string): void } },
    ) => {
      io.logger.info("low");
      io.logger.error("high");
    };
    const quiet = client.defineJob({ id: "quiet", trigger: invokeTrigger(), run: say });
    const loud = client.defineJob({
      id: "loud",
      logLevel: "info",
      trigger: invokeTrigger(),
      run: say,
    });
    const quietRun = await client.invoke(quiet);
    const loudRun = await client.invoke(loud);
    await client.drain();
    const linesOf = async (id: string) =>
      (await storage.listLogs(id, { limit: 10 })).map((line) => line.message);
    expect(await linesOf(quietRun.id)).toEqual(["high"]);
    expect(await linesOf(loudRun.id)).toEqual(["low", "high"]);
  });

  test.for([
    ["zod", z.object({ n: z.coerce.number() })],
    [
      "valibot",
      v.object({ n: v.pipe(v.union([v.string(), v.number()]), v.transform(Number), v.number()) }),
    ],
    ["arktype", type({ n: "string.numeric.parse | number" })],
    ["an object with safeParse", safeParseSchema()],
  ] as [string, Schema][])("D14: a schema of %s parses the payload", async ([, schema]) => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger({ schema }),
      run: async (payload) => payload,
    });
    const handle = await client.invoke(job, { n: "7" } as never);
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ output: { n: 7 }, payload: { n: "7" } });
    expect(await codeOf(client.invoke(job, { n: "x" } as never))).toBe("PAYLOAD_INVALID");
  });
});

function safeParseSchema() {
  return {
    safeParse(value: unknown) {
      const n = Number((value as { n?: string }).n || Number.NaN);
      return Number.isNaN(n)
        ? { success: false as const, error: { issues: [{ path: ["n"], message: "no number" }] } }
        : { success: true as const, data: { n } };
    },
  };
}

describe("definitions without a storage", () => {
  test.for([
    ["an id with a space", { id: "a b" }, "JOB_ID_INVALID"],
    ["an empty id", { id: "" }, "JOB_ID_INVALID"],
    ["an id of 129 characters", { id: "x".repeat(129) }, "JOB_ID_INVALID"],
    ["an internal id", { id: "$event" }, "JOB_ID_INVALID"],
    ["a version of two numbers", { version: "1.0" }, "VERSION_INVALID"],
    ["a version that is a number", { version: 1 }, "VERSION_INVALID"],
    ["no trigger", { trigger: undefined }, "TRIGGER_INVALID"],
    ["no run function", { run: "go" }, "OPTION_INVALID"],
    ["an unknown option", { retries: 3 }, "OPTION_UNKNOWN"],
    ["a limit of zero", { concurrencyLimit: 0 }, "OPTION_INVALID"],
    ["a limit without id and key", { concurrencyLimit: { limit: 1 } }, "OPTION_INVALID"],
    ["a duration that is none", { maxDuration: "soon" }, "OPTION_INVALID"],
    ["a log level that is none", { logLevel: "loud" }, "OPTION_INVALID"],
    ["a priority out of range", { priority: 1001 }, "OPTION_INVALID"],
    ["a retry limit below zero", { retry: { limit: -1 } }, "OPTION_INVALID"],
    [
      "an integration that hides an io method",
      { integrations: { wait: {} } },
      "INTEGRATION_KEY_RESERVED",
    ],
    ["an integration that is none", { integrations: { mail: {} } }, "OPTION_INVALID"],
    ["an integration that is null", { integrations: { mail: null } }, "OPTION_INVALID"],
    ["no time at all", { maxDuration: 0 }, "OPTION_INVALID"],
    ["stalls of zero", { maxExecutionsWithoutProgress: 0 }, "OPTION_INVALID"],
    ["a hook that is no function", { onFailure: "mail me" }, "OPTION_INVALID"],
    ["tags that are no list", { tags: "red" }, "OPTION_INVALID"],
    ["a disabling that is no boolean", { enabled: "no" }, "OPTION_INVALID"],
    ["a name that is no text", { name: 7 }, "OPTION_INVALID"],
  ] as const)("D3: a job with %s throws where it is defined", ([, wrong, code]) => {
    const options = { id: "ok", trigger: invokeTrigger(), run, ...wrong };
    expect(thrownCode(() => defineJob(options as never))).toBe(code);
  });

  test("D3: a job, a limit, a dynamic schedule and an integration without options say so", () => {
    const client = createClient({ storage: memory() });
    const calls = [
      () => defineJob(undefined as never),
      () => client.defineJob(undefined as never),
      () => client.defineConcurrencyLimit(undefined as never),
      () => client.defineDynamicSchedule(undefined as never),
      () => createIntegration(undefined as never),
    ];
    for (const call of calls) expect(call).toThrow(/takes an options object, got undefined/);
    expect(calls.map(thrownCode)).toEqual(calls.map(() => "OPTION_INVALID"));
  });

  test("D2: an id of 128 characters with dots, dashes, underscores and tildes is kept as it is", () => {
    const id = `A-z_0.9~${"x".repeat(120)}`;
    expect(defineJob({ id, trigger: invokeTrigger(), run }).id).toBe(id);
  });

  test("D2, D13: a second job of one id throws, names the id and reload, and hinders no other", async () => {
    const client = createClient({ storage: memory() });
    const define = (id: string) => client.defineJob({ id, trigger: invokeTrigger(), run });
    define("a");
    expect(() => define("a")).toThrow(/"a".*reload/s);
    expect(thrownCode(() => define("a"))).toBe("JOB_DUPLICATE");
    const other = define("b");
    const handle = await client.invoke(other);
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ status: "COMPLETED" });
    await client.stop();
  });

  test.for([
    ["an unknown option", () => eventTrigger({ name: "e", nam: "f" } as never), "OPTION_UNKNOWN"],
    ["no name", () => eventTrigger({ name: [] }), "TRIGGER_INVALID"],
    ["an empty name", () => eventTrigger({ name: "" }), "OPTION_INVALID"],
    ["a name that is no text", () => eventTrigger({ name: 5 } as never), "TRIGGER_INVALID"],
    ["no name at all", () => eventTrigger({} as never), "TRIGGER_INVALID"],
    ["no options", () => eventTrigger(undefined as never), "OPTION_INVALID"],
    ["no options of its event", () => defineEvent(undefined as never), "OPTION_INVALID"],
    [
      "an unknown option of its event",
      () => defineEvent({ name: "e", shema: 1 } as never),
      "OPTION_UNKNOWN",
    ],
    [
      "a schema that nobody knows",
      () => eventTrigger({ name: "e", schema: {} as never }),
      "SCHEMA_UNRECOGNIZED",
    ],
    ["an empty source", () => eventTrigger({ name: "e", source: "" }), "OPTION_INVALID"],
    [
      "an event of an unknown schema",
      () => defineEvent({ name: "e", schema: 1 as never }),
      "SCHEMA_UNRECOGNIZED",
    ],
    [
      "an invoke schema that nobody knows",
      () => invokeTrigger({ schema: {} as never }),
      "SCHEMA_UNRECOGNIZED",
    ],
    [
      "an unknown option of invokeTrigger",
      () => invokeTrigger({ name: "x" } as never),
      "OPTION_UNKNOWN",
    ],
  ] as const)("D14: a trigger with %s throws where it is defined", ([, define, code]) => {
    expect(thrownCode(define)).toBe(code);
  });

  test.for([
    ["an unknown option", { retries: 1 }, "OPTION_UNKNOWN"],
    ["a storage that is none", { storage: {} }, "STORAGE_INVALID"],
    ["reload without id", { reload: true }, "OPTION_INVALID"],
    ["no slots", { concurrency: 0 }, "OPTION_INVALID"],
    ["an unknown cap", { caps: { bytes: 1 } }, "OPTION_UNKNOWN"],
    ["a codec that is none", { codec: {} }, "OPTION_INVALID"],
    ["a codec of one half", { codec: { encode: String } }, "OPTION_INVALID"],
    ["a clock that is null", { clock: null }, "OPTION_INVALID"],
    ["a listener of troubles that is none", { onError: "log" }, "OPTION_INVALID"],
    ["a reload that is no boolean", { id: "a", reload: "yes" }, "OPTION_INVALID"],
    ["an environment that is a name", { environment: "staging" }, "OPTION_INVALID"],
    ["half an organization", { organization: { id: "o" } }, "OPTION_INVALID"],
    ["a project of other fields", { project: { id: "p", title: "P" } }, "OPTION_UNKNOWN"],
    ["a job that is none", { jobs: [{ id: "x" }] }, "OPTION_INVALID"],
  ] as const)("D13: a client with %s throws where it is made", ([, options, code]) => {
    expect(thrownCode(() => createClient(options as never))).toBe(code);
  });

  test("D11: an attached job is the job itself, unchanged, and can be attached to two clients", () => {
    const job = defineJob({ id: "j", trigger: invokeTrigger(), run });
    const before = { ...job };
    createClient({ jobs: [job], storage: memory() });
    createClient({ storage: memory() }).attach(job);
    expect({ ...job }).toEqual(before);
    expect(Object.isFrozen(job)).toBe(true);
  });

  test("defining jobs and clients starts no timer and does no I/O", async () => {
    const calls: string[] = [];
    const storage = new Proxy(memory(), {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? () => calls.push(String(name)) : member;
      },
    });
    const clock = {
      now: () => 0,
      monotonic: () => 0,
      setTimer: () => {
        calls.push("setTimer");
        return () => {};
      },
    };
    createClient({ storage, clock }).defineJob({ id: "j", trigger: invokeTrigger(), run });
    await turns();
    expect(calls).toEqual([]);
  });

  test("T29: examples are kept on the trigger", () => {
    const examples = [{ id: "ann", name: "Ann", payload: { name: "ann" } }];
    expect(eventTrigger({ name: "e", examples }).examples).toEqual(examples);
    expect(invokeTrigger({ examples }).examples).toEqual(examples);
    expect(invokeTrigger().examples).toEqual([]);
  });

  test("D12: payload, invoke argument and output follow from trigger and run", () => {
    const paid = defineEvent({ name: "paid", schema: z.object({ cents: z.coerce.number() }) });
    const job = defineJob({
      id: "j",
      trigger: eventTrigger({ name: paid }),
      run: async (payload, io) => {
        expectTypeOf(payload).toEqualTypeOf<{ cents: number }>();
        const result = await io.invokeAndWait("child", child, "x");
        expectTypeOf(result).toEqualTypeOf<InvokeResult<{ length: number }>>();
        return { total: payload.cents };
      },
    });
    const child = defineJob({
      id: "c",
      trigger: invokeTrigger({ schema: z.string() }),
      run: (payload) => ({ length: payload.length }),
    });
    const client = createClient({ jobs: [job, child], storage: memory() });
    expectTypeOf(client.getRun<{ total: number }>).returns.resolves.toMatchTypeOf<
      { output?: { total: number } } | undefined
    >();
    expectTypeOf(child.invoke).toBeCallableWith("x");
    // @ts-expect-error: a payload of another type does not compile
    const wrong = () => client.invoke(child, 5);
    expect(wrong).toBeTypeOf("function");
  });
});
