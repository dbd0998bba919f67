import { expect, test } from "vitest";
import { invokeTrigger } from "../../src/index.js";
import { codeOf } from "./support.js";
import { describeEngine } from "./world.js";

describeEngine("getRun", (world) => {
  test("C3: an unknown id is undefined, an unknown option an error", async () => {
    const client = world().client();
    expect(await client.getRun("nobody")).toBeUndefined();
    expect(await client.explainRun("nobody")).toBeUndefined();
    expect(await codeOf(client.getRun("nobody", { task: true } as never))).toBe("OPTION_UNKNOWN");
  });

  test("C3: a run shows what is known of it, with real dates, and no tasks unless asked", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      version: "1.2.3",
      trigger: invokeTrigger(),
      run: async (payload, io) => io.runTask("t", () => payload),
    });
    const handle = await client.invoke(job, { at: new Date(1) }, { tags: ["red"], priority: 2 });
    await client.drain();
    const now = new Date(world().clock.now());
    expect(await client.getRun(handle)).toEqual({
      id: handle.id,
      jobId: "j",
      version: "1.2.3",
      status: "COMPLETED",
      payload: { at: new Date(1) },
      output: { at: new Date(1) },
      tags: ["red"],
      priority: 2,
      isTest: false,
      eventId: handle.id,
      executionCount: 1,
      attempt: 1,
      createdAt: now,
      startedAt: now,
      finishedAt: now,
    });
  });

  test("R7: a run whose code throws is FAILED at once, with name, message and stack", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      retry: { limit: 5 },
      run: async () => {
        throw new TypeError("no such thing", { cause: new Error("why") });
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    const run = await client.getRun(handle);
    expect(run).toMatchObject({ status: "FAILED", executionCount: 1 });
    expect(run?.error).toBeInstanceOf(TypeError);
    expect(run?.error).toMatchObject({ message: "no such thing", cause: { message: "why" } });
    expect(run?.error?.stack).toContain("reads.test");
    expect(run?.output).toBeUndefined();
  });

  test.for([
    ["a text", "plain"],
    ["nothing", undefined],
    ["null", null],
    ["an object", { code: 7 }],
  ] as [string, unknown][])(
    "R7: a run that throws %s fails with an error, too",
    async ([, thrown]) => {
      const client = world().client();
      const job = client.defineJob({
        id: "j",
        trigger: invokeTrigger(),
        run: async () => {
          throw thrown;
        },
      });
      const handle = await client.invoke(job);
      await client.drain();
      const run = await client.getRun(handle);
      expect(run?.status).toBe("FAILED");
      expect(run?.error).toBeInstanceOf(Error);
    },
  );

  test("C3: tasks are a tree in the order of their records, with attempts, times and details on demand", async () => {
    const client = world().client();
    let fails = true;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        await io.runTask(
          "outer",
          async (task, inner) => {
            task.outputProperties = [{ label: "size", text: "big" }];
            await inner.runTask(["item", 1], () => "one");
            await inner.runTask(
              "flaky",
              () => {
                if (fails) {
                  fails = false;
                  throw new Error("first try");
                }
                return "two";
              },
              { retry: { limit: 2, minTimeoutInMs: 1000, randomize: false } },
            );
            return { token: "secret", deep: { password: "p", name: "n" } };
          },
          {
            name: "Outer",
            icon: "box",
            description: "does it",
            params: { a: 1 },
            properties: [{ label: "p", text: "v" }],
            style: { style: "minimal" },
            redact: { paths: ["token", "deep.password", "absent.path"] },
          },
        );
        await io.wait("pause", "1h");
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    world().clock.advance("2s");
    await client.drain();
    const plain = await client.getRun(handle, { tasks: true });
    const [outer, pause] = plain?.tasks ?? [];
    expect(outer).toMatchObject({
      key: "outer",
      path: "outer",
      status: "COMPLETED",
      name: "Outer",
    });
    expect(outer?.output).toBeUndefined();
    expect(outer?.params).toBeUndefined();
    expect(outer?.tasks).toMatchObject([
      { key: '["item",1]', status: "COMPLETED", attempts: [{ number: 1 }] },
      {
        key: "flaky",
        status: "COMPLETED",
        attempts: [{ number: 1, error: { message: "first try" } }, { number: 2 }],
      },
    ]);
    expect(pause).toMatchObject({
      key: "pause",
      kind: "wait",
      status: "WAITING",
      availableAt: new Date(world().clock.now() + 3_600_000),
    });
    const detailed = await client.getRun(handle, { taskDetails: true });
    expect(detailed?.tasks?.[0]).toMatchObject({
      output: { token: "[redacted]", deep: { password: "[redacted]", name: "n" } },
      icon: "box",
      description: "does it",
      params: { a: 1 },
      properties: [{ label: "p", text: "v" }],
      outputProperties: [{ label: "size", text: "big" }],
      style: { style: "minimal" },
    });
  });

  test("C3: redaction is for readers: the run itself gets the whole value back on replay", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const { token } = await io.runTask("t", () => ({ token: "secret" }), {
          redact: { paths: ["token"] },
        });
        await io.wait("day", "1d");
        return token === "secret";
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    expect(await client.getRun(handle)).toMatchObject({ output: true });
  });

  test("C3: tasks come in pages, each task on one page", async () => {
    const client = world().client();
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        for (let n = 0; n < 25; n++) await io.runTask(["t", n], () => n);
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    const keys: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await client.getRun(handle, {
        tasks: true,
        take: 10,
        ...(cursor === undefined ? {} : { cursor }),
      });
      keys.push(...(page?.tasks ?? []).map((task) => task.key));
      cursor = page?.nextCursor;
      pages++;
    } while (cursor !== undefined);
    expect(pages).toBe(3);
    expect(keys).toEqual(Array.from({ length: 25 }, (_, n) => `["t",${n}]`));
    const wrong = [{ take: 0 }, { take: 1001 }, { cursor: "x" }, { cursor: "-1" }];
    for (const options of wrong)
      expect(await codeOf(client.getRun(handle, { tasks: true, ...options }))).toBe(
        "OPTION_INVALID",
      );
  });

  test("C3: an invoked child is named by its task", async () => {
    const client = world().client();
    const child = client.defineJob({ id: "child", trigger: invokeTrigger(), run: async () => "c" });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => io.invokeAndWait("call", child, {}),
    });
    const handle = await client.invoke(parent);
    await client.drain();
    const run = await client.getRun(handle, { tasks: true });
    const children = await client.getRuns({ parentId: handle.id });
    expect(run?.tasks).toMatchObject([
      { key: "call", kind: "invokeAndWait", childRunId: children.runs[0]?.id },
    ]);
  });

  test("C1, C2, R10: the context is the same in every execution but for executionCount", async () => {
    const client = world().client({
      environment: { id: "e1", slug: "prod", type: "STAGING" },
      project: { id: "p1", slug: "shop", name: "Shop" },
    });
    const seen: unknown[] = [];
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io, context) => {
        await io.yield("y");
        await io.wait("day", "1d");
        const { signal, ...rest } = context;
        seen.push(rest, signal.aborted);
      },
    });
    const start = new Date(world().clock.now());
    const handle = await client.invoke(job);
    await client.drain();
    world().clock.advance("1d");
    await client.drain();
    expect(seen).toMatchObject([
      {
        run: {
          id: handle.id,
          isTest: false,
          startedAt: start,
          attempt: 1,
          isRetry: false,
          tags: [],
        },
        job: { id: "j", version: "0.0.0" },
        event: { id: handle.id, name: "invoke", context: {}, timestamp: start },
        environment: { id: "e1", slug: "prod", type: "STAGING" },
        organization: { slug: "default" },
        project: { name: "Shop" },
      },
      false,
    ]);
  });

  test("R12: a run with a thousand recorded tasks goes on with a handful of reads", async () => {
    const calls = new Map<string, number>();
    const inner = world().storage();
    const storage = new Proxy(inner, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          calls.set(String(name), (calls.get(String(name)) ?? 0) + 1);
          return Reflect.apply(member, target, args);
        };
      },
    });
    const client = world().client({ storage });
    let called = 0;
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        await io.parallel(
          "all",
          Array.from({ length: 1000 }, (_, n) => n),
          () => ++called,
        );
        await io.wait("day", "1d");
        return called;
      },
    });
    const handle = await client.invoke(job);
    await client.drain();
    world().clock.advance("1d");
    calls.clear();
    await client.drain();
    expect((await client.getRun(handle))?.output).toBe(1000);
    const total = [...calls.values()].reduce((sum, count) => sum + count, 0);
    expect(total).toBeLessThan(20);
  });
});
