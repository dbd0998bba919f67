import { describe, expect, test } from "vitest";
import { z } from "zod";
import { createClient, defineJob, invokeTrigger } from "../../src/index.js";
import { memory } from "../../src/storage/memory/index.js";
import { codeOf, numbered } from "./support.js";
import { describeEngine } from "./world.js";

const echo = async (payload: unknown) => payload;

describeEngine("invoke", (world) => {
  test.for([
    ["a text", "hello"],
    ["an empty text", ""],
    ["zero", 0],
    ["minus zero", -0],
    ["false", false],
    ["null", null],
    ["nothing", undefined],
    ["a list", []],
    ["rich values", { at: new Date(5), map: new Map([[1, new Set(["a"])]]), big: 10n }],
  ] as [string, unknown][])(
    "T18: a payload that is %s arrives as it was sent",
    async ([, payload]) => {
      const client = world().client();
      let got: unknown = "not called";
      const job = client.defineJob({
        id: "j",
        trigger: invokeTrigger(),
        run: async (value) => {
          got = value;
          return value;
        },
      });
      const byClient = await client.invoke(job, payload);
      await client.drain();
      expect(got).toStrictEqual(payload);
      const run = await client.getRun(byClient);
      expect(run?.payload).toStrictEqual(payload);
      expect(run?.output).toStrictEqual(payload);
      got = "not called";
      const byJob = await job.invoke(payload);
      await client.drain();
      expect(got).toStrictEqual(payload);
      expect(byJob.id).not.toBe(byClient.id);
    },
  );

  test("T18: a job is invoked by itself, by its id, and through its own method", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    const handles = [
      await client.invoke(job, 1),
      await client.invoke("j", 2),
      await job.invoke(3),
      await client.invoke({ ...job }, 4),
    ];
    await client.drain();
    const outputs = await Promise.all(handles.map(async (h) => (await client.getRun(h))?.output));
    expect(outputs).toEqual([1, 2, 3, 4]);
  });

  test("R5: an invalid payload throws PAYLOAD_INVALID with its issues and stores nothing", async () => {
    const client = world().client();
    let called = 0;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger({ schema: numbered }),
      run: async () => {
        called++;
      },
    });
    const error = await client.invoke(job, { n: "x" } as never).catch((e: unknown) => e);
    expect(error).toMatchObject({
      name: "PayloadError",
      code: "PAYLOAD_INVALID",
      issues: [{ path: ["n"], message: expect.any(String) }],
    });
    await client.drain();
    expect((await client.getRuns()).runs).toEqual([]);
    expect(called).toBe(0);
  });

  test("R5: an invalid payload of a sender without the code makes an INVALID_PAYLOAD run", async () => {
    const job = defineJob({ id: "j", trigger: invokeTrigger({ schema: numbered }), run: echo });
    const worker = world().client({ jobs: [job] });
    await worker.drain();
    const sender = world().client();
    const handle = await sender.invoke("j", { n: "x" });
    await worker.drain();
    expect(await sender.getRun(handle)).toMatchObject({
      status: "INVALID_PAYLOAD",
      error: { code: "PAYLOAD_INVALID" },
    });
  });

  test.for([
    ["an unknown option", { idempotency: "k" }, "OPTION_UNKNOWN"],
    ["an unknown option that io has", { timeout: 1 }, "OPTION_UNKNOWN"],
    ["options that are none", 5, "OPTION_INVALID"],
    ["an invalid delay", { delay: "soon" }, "OPTION_INVALID"],
    ["a delay of null", { delay: null }, "OPTION_INVALID"],
    ["a delay that ends after the last date", { delay: 8.64e12 }, "OPTION_INVALID"],
    ["an invalid instant", { runAt: new Date("x") }, "OPTION_INVALID"],
    ["an instant of null", { runAt: null }, "OPTION_INVALID"],
    ["an instant of true", { runAt: true }, "OPTION_INVALID"],
    ["an instant that is no Date", { runAt: "2026-01-01" }, "OPTION_INVALID"],
    ["an instant and a delay", { runAt: new Date(), delay: "1h" }, "OPTION_INVALID"],
    ["an instant and no delay at all", { runAt: new Date(), delay: 0 }, "OPTION_INVALID"],
    ["a ttl of null", { ttl: null }, "OPTION_INVALID"],
    ["a ttl that ends after the last date", { ttl: 8.64e12 }, "OPTION_INVALID"],
    ["a priority of null", { priority: null }, "OPTION_INVALID"],
    ["a test flag of null", { isTest: null }, "OPTION_INVALID"],
    ["a test flag that is a text", { isTest: "no" }, "OPTION_INVALID"],
    ["an invalid ttl", { ttl: Number.NaN }, "OPTION_INVALID"],
    ["a priority out of range", { priority: -1001 }, "OPTION_INVALID"],
    ["a priority that is no whole number", { priority: 0.5 }, "OPTION_INVALID"],
    ["tags that are no list", { tags: "red" }, "OPTION_INVALID"],
    ["tags of null", { tags: null }, "OPTION_INVALID"],
    ["a tag that is no text", { tags: [5] }, "OPTION_INVALID"],
    ["an empty idempotency key", { idempotencyKey: "" }, "OPTION_INVALID"],
    ["an idempotency key that is too long", { idempotencyKey: "x".repeat(513) }, "OPTION_INVALID"],
    ["an idempotency key of null", { idempotencyKey: null }, "OPTION_INVALID"],
    ["a key's ttl without a key", { idempotencyKeyTTL: "1h" }, "OPTION_INVALID"],
    ["a key's ttl that is none", { idempotencyKey: "k", idempotencyKeyTTL: "?" }, "OPTION_INVALID"],
    ["a context that cannot be stored", { context: () => {} }, "VALUE_NOT_SERIALIZABLE"],
    ["an account that is no text", { accountId: 5 }, "OPTION_INVALID"],
  ] as const)("T18: invoke with %s is refused and stores nothing", async ([, options, code]) => {
    const client = world().client();
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    expect(await codeOf(client.invoke(job, {}, options as never))).toBe(code);
    expect((await client.getRuns()).runs).toEqual([]);
  });

  test("T18: what is wrong with the start of an invoke is told with what to do, inside a run as well", async () => {
    const client = world().client();
    const job = client.defineJob({ id: "child", trigger: invokeTrigger(), run: echo });
    const both = { runAt: new Date(), delay: "1h" };
    await expect(client.invoke(job, {}, both)).rejects.toThrow(/both runAt and delay; pass one/);
    const none = { runAt: null as never };
    await expect(client.invoke(job, {}, none)).rejects.toThrow(
      /runAt .* is null; pass a valid Date/,
    );
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => [
        await codeOf(io.invoke("both", job, {}, both)),
        await codeOf(io.invokeAndWait("none", job, {}, none)),
        await codeOf(io.invokeAndWait("options of null", job, {}, null as never)),
        await codeOf(io.invokeAndWait("options that are none", job, {}, 5 as never)),
      ],
    });
    const handle = await client.invoke(parent);
    await client.drain();
    expect((await client.getRun(handle))?.output).toEqual(Array(4).fill("OPTION_INVALID"));
    expect((await client.getRuns({ jobId: "child" })).runs).toEqual([]);
  });

  test("T23, T30: context, account, test flag, tags and priority arrive in the run", async () => {
    const client = world().client();
    let seen: unknown;
    const job = client.defineJob({
      id: "j",
      version: "2.0.0",
      trigger: invokeTrigger(),
      tags: ["own"],
      run: async (_payload, _io, context) => {
        seen = context;
      },
    });
    const handle = await client.invoke(
      job,
      {},
      { context: { by: "ann" }, accountId: "acc", isTest: true, tags: ["red"], priority: 7 },
    );
    await client.drain();
    expect(seen).toMatchObject({
      run: { id: handle.id, isTest: true, tags: ["own", "red"] },
      job: { id: "j", version: "2.0.0" },
      event: { id: handle.id, name: "invoke", context: { by: "ann" } },
      account: { id: "acc" },
    });
    const run = await client.getRun(handle);
    expect(run).toMatchObject({ isTest: true, tags: ["own", "red"], priority: 7 });
    expect((await client.getRuns()).runs[0]).toMatchObject({ isTest: true });
  });

  test("T23: the same options arrive if the sender has no code of the job", async () => {
    let seen: unknown;
    const job = defineJob({
      id: "j",
      trigger: invokeTrigger({ schema: z.object({ color: z.string() }) }),
      tags: (payload) => [payload.color],
      priority: 3,
      run: async (_payload, _io, context) => {
        seen = context;
      },
    });
    const worker = world().client({ jobs: [job] });
    await worker.drain();
    const sender = world().client();
    const handle = await sender.invoke(
      "j",
      { color: "blue" },
      { context: 1, accountId: "acc", isTest: true, tags: ["red"] },
    );
    await worker.drain();
    expect(seen).toMatchObject({
      run: { isTest: true, tags: ["blue", "red"] },
      event: { context: 1 },
      account: { id: "acc" },
    });
    expect(await sender.getRun(handle)).toMatchObject({ tags: ["blue", "red"], priority: 3 });
  });

  test("T20: io.invoke starts one child, which knows its parent, and does not wait", async () => {
    const client = world().client();
    const child = client.defineJob({
      id: "child",
      trigger: invokeTrigger(),
      run: async (_payload, _io, context) => context.run.parentId,
    });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const handle = await io.invoke("child", child, 1, { tags: ["t"] });
        await io.wait("day", "1d");
        return handle.id;
      },
    });
    const handle = await client.invoke(parent);
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    const { output } = (await client.getRun(handle)) ?? {};
    const { runs } = await client.getRuns({ jobId: "child" });
    expect(runs).toHaveLength(1);
    expect(runs[0]).toMatchObject({
      id: output,
      parentId: handle.id,
      output: handle.id,
      tags: ["t"],
    });
  });

  test("T20: a bad io.invoke rejects in the run and starts nothing", async () => {
    const client = world().client();
    const child = client.defineJob({
      id: "child",
      trigger: invokeTrigger({ schema: numbered }),
      run: echo,
    });
    client.defineJob({ id: "off", enabled: false, trigger: invokeTrigger(), run: echo });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => [
        await codeOf(io.invoke("a", child, { n: "x" } as never)),
        await codeOf(io.invoke("b", "off", {})),
        await codeOf(io.invoke("c", "nobody", {})),
        await codeOf(io.invoke("d", child, { n: 1 }, { delai: 1 } as never)),
        await codeOf(io.invokeAndWait("e", child, { n: "x" } as never)),
      ],
    });
    const handle = await client.invoke(parent);
    await client.drain();
    expect((await client.getRun(handle))?.output).toEqual([
      "PAYLOAD_INVALID",
      "JOB_DISABLED",
      "JOB_UNKNOWN",
      "OPTION_UNKNOWN",
      "PAYLOAD_INVALID",
    ]);
    expect((await client.getRuns({ jobId: ["child", "off"] })).runs).toEqual([]);
  });

  test("T21: job.invoke and job.invokeAndWait inside a run take a key first and work like io's", async () => {
    const client = world().client();
    const child = client.defineJob({
      id: "child",
      trigger: invokeTrigger({ schema: z.string() }),
      run: async (payload) => payload.toUpperCase(),
    });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const handle = await child.invoke("a", "x");
        const waited = await child.invokeAndWait("b", "y");
        const batch = await child.batchInvokeAndWait("c", [{ payload: "z" }]);
        const inTask = await io.runTask("task", async () => (await child.invoke("a", "w")).id);
        return {
          different: new Set([handle.id, waited.run.id, inTask]).size,
          outputs: [waited, ...batch].map((result) => result.ok && result.output),
        };
      },
    });
    const handle = await client.invoke(parent);
    await client.drain();
    expect((await client.getRun(handle))?.output).toEqual({ different: 3, outputs: ["Y", "Z"] });
  });

  test("T21: without a key inside a run, and with waiting outside of one, job.invoke says what is missing", async () => {
    const client = world().client();
    const child = client.defineJob({ id: "child", trigger: invokeTrigger(), run: echo });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async () => [
        await codeOf(child.invoke({ n: 1 })),
        await codeOf(child.invoke("only one argument")),
        await codeOf(child.invokeAndWait({ n: 1 } as never, {})),
        await codeOf(child.batchInvokeAndWait({} as never, [])),
      ],
    });
    const handle = await client.invoke(parent);
    await client.drain();
    expect((await client.getRun(handle))?.output).toEqual(Array(4).fill("INVOKE_KEY_REQUIRED"));
    expect(await codeOf(child.invokeAndWait("key", {}))).toBe("INVOKE_KEY_REQUIRED");
    expect(await codeOf(child.batchInvokeAndWait("key", []))).toBe("INVOKE_KEY_REQUIRED");
    expect((await client.getRuns({ jobId: "child" })).runs).toEqual([]);
  });

  test("T20: writes of the client inside a run but outside of a task throw KEY_REQUIRED, inside a task they work", async () => {
    const client = world().client();
    const child = client.defineJob({ id: "child", trigger: invokeTrigger(), run: echo });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const refused = [
          await codeOf(client.invoke(child)),
          await codeOf(client.sendEvent({ name: "e" })),
          await codeOf(client.sendEvents([])),
          await codeOf(client.cancelRun("x")),
          await codeOf(client.cancelRunsForJob("x")),
          await codeOf(client.cancelRunsForEvent("x")),
          await codeOf(client.retryRun("x")),
          await codeOf(client.replayRun("x")),
        ];
        const id = await io.runTask("allowed", async () => (await client.invoke(child, 1)).id);
        return { refused, id, read: (await client.getRun(id))?.jobId };
      },
    });
    const handle = await client.invoke(parent);
    await client.drain();
    const { output } = (await client.getRun(handle)) ?? {};
    expect(output?.refused).toEqual(Array(8).fill("KEY_REQUIRED"));
    expect(output?.read).toBe("child");
    expect((await client.getRuns({ jobId: "child" })).runs).toHaveLength(1);
  });

  test("T18: an invoke of something that is no job says so", async () => {
    const client = world().client();
    expect(await codeOf(client.invoke(undefined as unknown as string, {}))).toBe("OPTION_INVALID");
    expect(await codeOf(client.invoke(5 as unknown as string, {}))).toBe("OPTION_INVALID");
  });

  test("T18: a payload over the cap is refused before anything is stored", async () => {
    const client = world().client({ caps: { taskOutputBytes: 100 } });
    const job = client.defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    expect(await codeOf(client.invoke(job, "x".repeat(200)))).toBe("VALUE_TOO_LARGE");
    expect((await client.getRuns()).runs).toEqual([]);
  });
});

describe("job.invoke outside of a run", () => {
  test("names what to do when no client, or more than one, has the job", async () => {
    const job = defineJob({ id: "j", trigger: invokeTrigger(), run: echo });
    expect(await codeOf(job.invoke({}))).toBe("JOB_NOT_ATTACHED");
    const one = createClient({ storage: memory(), jobs: [job] });
    expect(await codeOf(job.invoke({}))).toBe("no error");
    const two = createClient({ storage: memory(), jobs: [job] });
    expect(await codeOf(job.invoke({}))).toBe("JOB_AMBIGUOUS");
    await two.stop();
    expect(await codeOf(job.invoke({}))).toBe("no error");
    await one.stop();
    expect(await codeOf(job.invoke({}))).toBe("JOB_NOT_ATTACHED");
  });
});
