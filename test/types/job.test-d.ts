import {
  type AnyJob,
  createClient,
  createIntegration,
  defineJob,
  eventTrigger,
  invokeTrigger,
  type Job,
  type JobInput,
  type JobOutput,
  notConnected,
  task,
} from "pawl";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";

const client = createClient();
const order = z.object({ id: z.string(), day: z.string().transform((text) => new Date(text)) });

const ship = defineJob({
  id: "ship",
  trigger: invokeTrigger({ schema: order }),
  run: async (payload) => ({ shipped: payload.id, at: payload.day }),
});
const count = client.defineJob({ id: "count", trigger: invokeTrigger(), run: () => 3 });

describe("a job", () => {
  test("takes its types from the options alone", () => {
    expectTypeOf(ship).toEqualTypeOf<
      Job<{ id: string; day: string }, { id: string; day: Date }, { shipped: string; at: Date }>
    >();
    expectTypeOf(count).toEqualTypeOf<Job<unknown, unknown, number>>();
    // @ts-expect-error `run` gives a number
    count satisfies Job<unknown, unknown, string>;
  });

  test("has its hooks and other options above `run` without losing a type", () => {
    const job = client.defineJob({
      id: "hooks",
      onStart: (run) => run.payload,
      onSuccess: ({ output }) => expectTypeOf(output).toBeUnknown(),
      onFailure: async ({ error }) => expectTypeOf(error).toEqualTypeOf<Error | undefined>(),
      tags: (payload) => [payload.id],
      concurrencyLimit: { limit: 1, key: (payload) => payload.day.toISOString() },
      trigger: invokeTrigger({ schema: order }),
      run: async (payload, io) => {
        expectTypeOf(payload.day).toEqualTypeOf<Date>();
        return io.runTask("a", () => payload.id);
      },
    });
    expectTypeOf<JobOutput<typeof job>>().toEqualTypeOf<string>();
    client.defineJob({
      id: "b",
      // @ts-expect-error the hook's argument has no such property
      onStart: (run) => run.nope,
      trigger: invokeTrigger(),
      run: () => 1,
    });
    client.defineJob({
      id: "c",
      // @ts-expect-error tags see what `run` sees, a Date
      tags: (payload) => [payload.day.toUpperCase()],
      trigger: invokeTrigger({ schema: order }),
      run: () => 1,
    });
  });

  test("may invoke itself by its id", () => {
    const countdown = client.defineJob({
      id: "countdown",
      trigger: invokeTrigger({ schema: z.object({ from: z.number() }) }),
      run: async ({ from }, io): Promise<number> => {
        if (from === 0) return 0;
        const child = await io.invokeAndWait("next", "countdown", { from: from - 1 });
        if (child.ok) expectTypeOf(child.output).toBeUnknown();
        // @ts-expect-error an id carries no types
        return child.ok ? child.output : from;
      },
    });
    expectTypeOf<JobOutput<typeof countdown>>().toEqualTypeOf<number>();
  });

  test("stands with jobs of other types in one list, without any", () => {
    createClient({ jobs: [ship, count] });
    expectTypeOf([ship, count]).toExtend<readonly AnyJob[]>();
    // @ts-expect-error these are no jobs
    createClient({ jobs: [{ id: "a" }] });
    // @ts-expect-error the options of a job are not yet a job
    client.attach({ id: "a", trigger: invokeTrigger(), run: () => 1 });
  });

  test("tells input and output", () => {
    expectTypeOf<JobInput<typeof ship>>().toEqualTypeOf<{ id: string; day: string }>();
    expectTypeOf<JobOutput<typeof ship>>().toEqualTypeOf<{ shipped: string; at: Date }>();
    expectTypeOf<JobInput<typeof count>>().toBeUnknown();
    expectTypeOf<JobInput<"some-id">>().toBeUnknown();
    // @ts-expect-error the input's day is text
    ({ id: "a", day: new Date() }) satisfies JobInput<typeof ship>;
    // @ts-expect-error the output's date is a Date
    ({ shipped: "a", at: "today" }) satisfies JobOutput<typeof ship>;
  });

  test("is refused with an option that does not exist", () => {
    // @ts-expect-error there is no `retries`
    defineJob({ id: "a", trigger: invokeTrigger(), retries: 3, run: () => 1 });
    // @ts-expect-error `run` is required
    defineJob({ id: "a", trigger: invokeTrigger() });
    // @ts-expect-error `trigger` is required
    defineJob({ id: "a", run: () => 1 });
  });
});

describe("invoke", () => {
  test("takes the schema's input", () => {
    void client.invoke(ship, { id: "a", day: "2026-01-01" });
    void ship.invoke({ id: "a", day: "2026-01-01" }, { priority: 1 });
    void client.invoke("ship", { anything: true });
    // @ts-expect-error no day
    void client.invoke(ship, { id: "a" });
    // @ts-expect-error no day
    void ship.invoke({ id: "a" });
    // @ts-expect-error there is no such option
    void client.invoke(ship, { id: "a", day: "2026-01-01" }, { prio: 1 });
  });

  test("in a run takes a key first", () => {
    defineJob({
      id: "parent",
      trigger: eventTrigger({ name: "go" }),
      run: async (_payload, io) => {
        const payload = { id: "a", day: "2026-01-01" };
        const child = await io.invokeAndWait("ship", ship, payload, { timeout: "1h" });
        if (child.ok) expectTypeOf(child.output).toEqualTypeOf<{ shipped: string; at: Date }>();
        else expectTypeOf(child.error).toEqualTypeOf<Error>();
        // @ts-expect-error only a child that ended well has an output
        child.output;
        const many = await ship.batchInvokeAndWait("many", [{ payload }]);
        expectTypeOf(many[0]).toEqualTypeOf<typeof child | undefined>();
        await ship.invoke(["again", 1], payload);
        // @ts-expect-error a wrong payload
        await io.invoke("bad", ship, { id: 1 });
        // @ts-expect-error a wrong payload in a batch
        await io.batchInvokeAndWait("bad", ship, [{ payload: { id: "a" } }]);
        // @ts-expect-error no key
        await ship.invokeAndWait(payload);
      },
    });
  });
});

describe("flow control", () => {
  test("keys are functions of the parsed payload", () => {
    const trigger = invokeTrigger({ schema: z.object({ customer: z.string(), n: z.number() }) });
    const run = () => {};
    defineJob({
      id: "ok",
      trigger,
      run,
      debounce: { period: "5s", maxDelay: "1m", key: ({ customer }) => customer },
      throttle: { limit: 5, period: 60, key: (payload) => payload.customer },
      rateLimit: { limit: 5, period: { hours: 1 } },
      singleton: { mode: "join" },
    });
    // @ts-expect-error a key is text
    defineJob({ id: "a", trigger, run, throttle: { limit: 5, period: 60, key: ({ n }) => n } });
    // @ts-expect-error no such field
    defineJob({ id: "b", trigger, run, singleton: { mode: "skip", key: ({ m }) => m } });
    // @ts-expect-error no such mode
    defineJob({ id: "c", trigger, run, singleton: { mode: "queue" } });
    // @ts-expect-error no period
    defineJob({ id: "d", trigger, run, rateLimit: { limit: 5 } });
  });
});

describe("an integration", () => {
  class Sdk {
    post(params: { text: string }): Promise<{ id: number }> {
      return Promise.resolve({ id: params.text.length });
    }
  }
  const board = createIntegration({
    id: "board",
    client: () => new Sdk(),
    tasks: {
      post: task((sdk: Sdk, params: { text: string }) => sdk.post(params)),
      list: { all: task((_sdk: Sdk, most: number) => [most]) },
    },
  });

  test("has a method per task, which takes a key first, and the SDK itself", () => {
    defineJob({
      id: "j",
      trigger: invokeTrigger(),
      integrations: { board },
      run: async (_payload, io) => {
        expectTypeOf(await io.board.post("a", { text: "x" })).toEqualTypeOf<{ id: number }>();
        expectTypeOf(await io.board.list.all("b", 5)).toEqualTypeOf<number[]>();
        const id = io.board.runTask("c", async (sdk) => (await sdk.post({ text: "" })).id);
        expectTypeOf(await id).toEqualTypeOf<number>();
        // @ts-expect-error no key
        await io.board.post({ text: "x" });
        // @ts-expect-error a wrong parameter
        await io.board.post("d", { text: 5 });
        // @ts-expect-error no such task
        await io.board.nothing("e", {});
        // @ts-expect-error no such method of the SDK
        await io.board.runTask("f", (sdk) => sdk.nothing());
      },
    });
    const post = task((sdk: Sdk) => sdk.post({ text: "" }));
    // @ts-expect-error its SDK is another one
    createIntegration({ id: "x", client: () => 5, tasks: { post } });
    client.defineAuthResolver(board, () => ({ type: "apiKey", accessToken: "x" }));
    client.defineAuthResolver("board", async () => notConnected);
    // @ts-expect-error no such type of credentials
    client.defineAuthResolver(board, () => ({ type: "basic", accessToken: "x" }));
  });
});
