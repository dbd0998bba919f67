import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import {
  createIntegration,
  defineEvent,
  defineJob,
  eventTrigger,
  type Integration,
  type Io,
  invokeTrigger,
  NonRetriableError,
  notConnected,
  retry,
  task,
} from "../../src/index.js";
import { testJob } from "../../src/testing/index.js";

const day = 86_400_000;
const invoked = invokeTrigger();

describe("N7: testJob executes a job", () => {
  test("whose waits and retries last for years", async () => {
    const charge = vi.fn((attempt: number) => {
      if (attempt < 3) throw new Error("down");
      return "paid";
    });
    const job = defineJob({
      id: "renew",
      trigger: invoked,
      run: async (_payload, io) => {
        await io.wait("two years", { days: 730 });
        return io.runTask("charge", (task) => charge(task.attempt), { retry: { limit: 3 } });
      },
    });
    const { status, output, tasks, run, error } = await testJob(job);
    expect({ status, output, error }).toEqual({
      status: "COMPLETED",
      output: "paid",
      error: undefined,
    });
    expect(charge).toHaveBeenCalledTimes(3);
    expect(tasks.map(({ key, attempts }) => [key, attempts.length])).toEqual([
      ["two years", 1],
      ["charge", 3],
    ]);
    const took = (run.finishedAt?.getTime() ?? 0) - run.createdAt.getTime();
    expect(took).toBeGreaterThanOrEqual(730 * day);
    expect(took).toBeLessThan(731 * day);
  });

  test("and gives the payload that the schema gives out", async () => {
    const schema = z.object({ at: z.string().transform((text) => new Date(text)) });
    const job = defineJob({
      id: "parse",
      trigger: invokeTrigger({ schema }),
      run: ({ at }) => at.getUTCFullYear(),
    });
    expect((await testJob(job, { payload: { at: "2024-02-03" } })).output).toBe(2024);
    // @ts-expect-error a number is no text
    await expect(testJob(job, { payload: { at: 1 } })).rejects.toMatchObject({
      code: "PAYLOAD_INVALID",
    });
  });

  test("that fails, with the error and what was done before", async () => {
    const onFailure = vi.fn();
    const job = defineJob({
      id: "fail",
      trigger: invoked,
      onFailure,
      run: async (_payload, io) => {
        await io.runTask("good", () => 1);
        await io.runTask("bad", () => {
          throw new NonRetriableError("no");
        });
      },
    });
    const { status, output, error, tasks } = await testJob(job);
    expect(status).toBe("FAILED");
    expect(output).toBeUndefined();
    expect(error?.message).toContain("no");
    expect(tasks.map((task) => task.status)).toEqual(["COMPLETED", "FAILED"]);
    expect(onFailure).toHaveBeenCalledTimes(1);
  });

  test("and reads its log", async () => {
    const job = defineJob({
      id: "log",
      trigger: invoked,
      run: async (_payload, io) => {
        io.logger.info("begins", { n: 1 });
        await io.wait("w", "1h");
        await io.runTask("t", (_task, inner) => inner.logger.warn("careful"));
      },
    });
    const { logs } = await testJob(job);
    expect(logs).toMatchObject([
      { level: "info", message: "begins", data: { n: 1 }, path: "" },
      { level: "warn", message: "careful", path: "t" },
    ]);
  });

  test("with the children that take part", async () => {
    const child = defineJob({
      id: "child",
      trigger: invokeTrigger({ schema: z.number() }),
      run: async (n, io) => {
        await io.wait("hour", "1h");
        return n * 2;
      },
    });
    const parent = defineJob({
      id: "parent",
      trigger: invoked,
      run: async (_payload, io) => {
        const result = await io.invokeAndWait("child", child, 21);
        return result.ok ? result.output : 0;
      },
    });
    expect((await testJob(parent, { jobs: [child] })).output).toBe(42);
  });

  test("from the instant and with the options of the invoke that it is told", async () => {
    const job = defineJob({
      id: "when",
      trigger: invoked,
      run: async (_payload, io, context) => ({ at: await io.now("now"), tags: context.run.tags }),
    });
    const start = new Date("2030-06-01T00:00:00Z");
    const { output } = await testJob(job, {
      start,
      payload: 1,
      invoke: { delay: "1d", tags: ["a"] },
    });
    expect(output).toEqual({ at: new Date("2030-06-02T00:00:00Z"), tags: ["a"] });
  });

  test("and ends at its deadline", async () => {
    const job = defineJob({
      id: "slow",
      trigger: invoked,
      maxDuration: "1h",
      run: (_payload, io) => io.wait("year", { days: 365 }),
    });
    const { status, run } = await testJob(job);
    expect(status).toBe("TIMED_OUT");
    expect((run.finishedAt?.getTime() ?? 0) - run.createdAt.getTime()).toBeLessThan(day);
  });
});

describe("events", () => {
  const signup = defineEvent({ name: "signup", schema: z.object({ id: z.string() }) });
  const welcome = defineJob({
    id: "welcome",
    trigger: eventTrigger({ name: signup }),
    run: async ({ id }, _io, context) => `${context.event.name} ${id}`,
  });

  test("start the run when there is no payload", async () => {
    const { output } = await testJob(welcome, {
      events: [{ name: "other" }, { name: signup, payload: { id: "u1" }, after: "2d" }],
    });
    expect(output).toBe("signup u1");
  });

  test("with a payload that does not fit make an invalid run", async () => {
    const { status, error } = await testJob(welcome, { events: [{ name: "signup", payload: 1 }] });
    expect(status).toBe("INVALID_PAYLOAD");
    expect(error).toMatchObject({ code: "PAYLOAD_INVALID" });
  });

  test("of one trigger need one schema", () => {
    const other = defineEvent({ name: "other", schema: z.number() });
    expect(() => eventTrigger({ name: [signup, other] })).toThrow(
      /"signup", "other" have different/,
    );
    expect(() => eventTrigger({ name: [signup, "plain"] })).toThrow(/different schemas/);
    const both = eventTrigger({ name: [signup, other], schema: z.unknown() });
    expect(both.data).toMatchObject({ names: ["signup", "other"] });
  });

  test("that nothing of the test hears are said to be at fault", async () => {
    await expect(testJob(welcome, { events: [{ name: "sign-up" }] })).rejects.toThrow(
      /none of its events starts job "welcome"/,
    );
  });
});

describe("mocks", () => {
  test("stand in for HTTP, so that nothing is sent", async () => {
    const job = defineJob({
      id: "http",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        const url = "http://nowhere.invalid/";
        const data = await io.backgroundFetch("data", url);
        const { status } = await io.backgroundFetchResponse("response", url);
        const polled = await io.backgroundPoll("polled", { url, responseFilter: {} });
        return [data, status, polled];
      },
    });
    const response = { status: 201, headers: {}, data: 1 };
    const { output } = await testJob(job, { mocks: { data: 7, response, polled: "done" } });
    expect(output).toEqual([7, 201, "done"]);
  });

  const real = vi.fn(() => "real");
  const job = defineJob({
    id: "mocked",
    trigger: invoked,
    run: async (_payload, io) => {
      const a = await io.runTask("a", real);
      const inner = await io.runTask("outer", (_task, own) => own.runTask(["n", 1], real));
      const viaRoot = await io.runTask("around", () => io.runTask("in", real));
      const items = await io.parallel("each", [1, 2], (n, _index, own) =>
        own.runTask("item", () => n),
      );
      const first = await io.waitForAny("any", { only: (own) => own.runTask("b", real) });
      return { a, inner, viaRoot, items, first: first.value };
    },
  });

  test("stand in for tasks by their paths", async () => {
    real.mockClear();
    const { output, tasks } = await testJob(job, {
      mocks: {
        a: "A",
        'outer/["n",1]': () => "B",
        "around/in": async () => "C",
        "each/0/item": 10,
      },
    });
    expect(output).toEqual({ a: "A", inner: "B", viaRoot: "C", items: [10, 2], first: "real" });
    expect(real).toHaveBeenCalledTimes(1);
    expect(tasks.map(({ path }) => path)).toContain("a");
  });

  test("may fail, and are retried like the task", async () => {
    const flaky = defineJob({
      id: "flaky",
      trigger: invoked,
      retry: retry.standardBackoff,
      run: (_payload, io) => io.runTask("send", real),
    });
    const { output, tasks } = await testJob(flaky, {
      mocks: {
        send: ({ attempt }: { attempt: number }) => {
          if (attempt === 1) throw new Error("once");
          return attempt;
        },
      },
    });
    expect(output).toBe(2);
    expect(tasks[0]?.attempts).toHaveLength(2);
  });

  test("stand in for children and for what is remembered", async () => {
    const parent = defineJob({
      id: "parent",
      trigger: invoked,
      run: async (_payload, io) => {
        const good = await io.invokeAndWait("good", "elsewhere", {});
        const bad = await io.invokeAndWait("bad", "elsewhere", {});
        return [good.ok && good.output, bad.ok, await io.random("dice"), await io.uuid("id")];
      },
    });
    const bad = () => {
      throw new Error("child failed");
    };
    const { output } = await testJob(parent, { mocks: { good: 5, bad, dice: 0.5, id: "u" } });
    expect(output).toEqual([5, false, 0.5, "u"]);
  });

  test("stand in for the tasks of an integration", async () => {
    const slack: Integration<{ post(key: string, text: string): Promise<string> }> = {
      id: "slack",
      metadata: { id: "slack", name: "Slack" },
      authSource: "LOCAL",
      cloneForRun: (io: Io) => ({ post: (key, text) => io.runTask(key, () => `posted ${text}`) }),
    };
    const notify = defineJob({
      id: "notify",
      trigger: invoked,
      integrations: { slack },
      run: async (_payload, io) => [await io.slack.post("a", "x"), await io.slack.post("b", "y")],
    });
    expect((await testJob(notify, { mocks: { b: "mocked" } })).output).toEqual([
      "posted x",
      "mocked",
    ]);
  });
});

describe("credentials", () => {
  const drive = createIntegration({
    id: "drive",
    authSource: "HOSTED",
    client: (auth) => ({ token: auth?.accessToken }),
    tasks: { whose: task((sdk: { token: string | undefined }, _: undefined) => sdk.token) },
  });
  const backup = defineJob({
    id: "backup",
    trigger: invoked,
    integrations: { files: drive },
    run: async (_payload, io) => [
      await io.files.whose("first", undefined),
      await io.files.whose("second", undefined),
    ],
  });
  const apiKey = (accessToken: string) => ({ type: "apiKey", accessToken }) as const;

  test("N3, N7: credentials are what the test gives for the id of the integration", async () => {
    const { output } = await testJob(backup, { auth: { drive: apiKey("t") } });
    expect(output).toEqual(["t", "t"]);
  });

  test("come from a resolver that is asked with the run's context, in each process anew", async () => {
    const asked: string[] = [];
    const { output, crashes } = await testJob(backup, {
      invoke: { accountId: "ada" },
      replay: "every-task",
      auth: {
        drive: ({ account }, { id }) => {
          asked.push(id);
          return apiKey(`${account?.id} ${asked.length}`);
        },
      },
    });
    expect(output).toEqual(["ada 1", "ada 2"]);
    expect(asked).toHaveLength(crashes + 1);
  });

  test("are needed by a hosted integration, also if its tasks are mocked", async () => {
    const mocks = { first: 1, second: 2 };
    expect(await testJob(backup, { mocks })).toMatchObject({
      status: "UNRESOLVED_AUTH",
      error: { code: "AUTH_UNRESOLVED" },
    });
    const { output } = await testJob(backup, { mocks, auth: { drive: apiKey("t") } });
    expect(output).toEqual([1, 2]);
  });

  test("that are not there yet let the run wait, and are looked for every five minutes", async () => {
    let looks = 0;
    const later = () => (++looks === 1 ? notConnected : apiKey("t"));
    const { run } = await testJob(backup, { auth: { drive: later } });
    expect(run).toMatchObject({ status: "COMPLETED", output: ["t", "t"] });
    expect(Number(run.finishedAt) - Number(run.createdAt)).toBe(300_000);
    await expect(testJob(backup, { auth: { drive: notConnected } })).rejects.toThrow(
      /waits until drive is connected/,
    );
  });

  test("are given to other jobs that take part as well", async () => {
    const parent = defineJob({
      id: "parent",
      trigger: invoked,
      run: async (_payload, io) => {
        const child = await io.invokeAndWait("child", backup, undefined);
        return child.ok && child.output;
      },
    });
    const { output } = await testJob(parent, { jobs: [backup], auth: { drive: apiKey("t") } });
    expect(output).toEqual(["t", "t"]);
  });

  test("for an integration that no job has, and what are none, are refused", async () => {
    for (const [auth, problem] of [
      [{ files: apiKey("t") }, /"files", which no job of the test has. Their integrations: drive/],
      [{ drive: "t" }, /gives "t" for integration "drive"/],
      [{ drive: null }, /gives null/],
      [{ drive: undefined }, /gives undefined/],
      [5, /is 5. Pass an object/],
      [null, /is null/],
    ] as const) {
      const testing = testJob(backup, { auth: auth as never });
      await expect(testing).rejects.toMatchObject({ code: "OPTION_INVALID" });
      await expect(testing).rejects.toThrow(problem);
    }
    const plain = defineJob({ id: "plain", trigger: invoked, run: () => 1 });
    await expect(testJob(plain, { auth: { drive: apiKey("t") } })).rejects.toThrow(/: none/);
  });
});

describe("a run that does not end", () => {
  test("rejects with the error that blocks it", async () => {
    let executions = 0;
    const job = defineJob({
      id: "changing",
      trigger: invoked,
      run: async (_payload, io) => {
        // The same key, first a task and then a wait.
        if (++executions === 1) await io.runTask("a", () => 1);
        else await io.wait("a", "1h");
        await io.yield("again");
      },
    });
    await expect(testJob(job)).rejects.toMatchObject({ code: "NON_DETERMINISM" });
  });

  test("rejects when time alone does not end it, and says where it stands", async () => {
    const job = defineJob({
      id: "endless",
      trigger: invoked,
      run: async (_payload, io) => {
        for (let n = 0; ; n++) await io.wait(["sleep", n], "1d");
      },
    });
    await expect(testJob(job)).rejects.toThrow(/has not ended after 1000 steps.*waits at.*sleep/);
  });

  test("options that do not exist are refused", async () => {
    const job = defineJob({ id: "a", trigger: invoked, run: () => 1 });
    // @ts-expect-error there is no option `mock`
    await expect(testJob(job, { mock: {} })).rejects.toMatchObject({ code: "OPTION_UNKNOWN" });
  });
});
