import {
  type BackgroundResponse,
  calculateResetAt,
  createClient,
  defineJob,
  type FetchFunction,
  type Integration,
  type Io,
  invokeTrigger,
  type Task,
} from "pawl";
import { safeFetch } from "pawl/safe-fetch";
import { describe, expectTypeOf, test } from "vitest";

interface Mailer {
  send(to: string): Promise<{ id: number }>;
}
declare const mailer: Integration<Mailer>;
const client = createClient();

describe("io", () => {
  test("has what it has", () => {
    defineJob({
      id: "a",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        expectTypeOf(io.now).toBeCallableWith("now");
        // @ts-expect-error there is no io.mail without an integration
        io.mail;
        // @ts-expect-error nor a method like this
        await io.sleep("key", "1d");
      },
    });
  });

  test("has each integration under its key", () => {
    client.defineJob({
      id: "a",
      integrations: { mail: mailer },
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        expectTypeOf(io.mail).toEqualTypeOf<Mailer>();
        expectTypeOf(await io.mail.send("a@b.co")).toEqualTypeOf<{ id: number }>();
        // @ts-expect-error it takes text
        await io.mail.send(1);
        // @ts-expect-error that is another integration
        io.slack;
      },
    });
  });

  test("gives no key of its own away", () => {
    defineJob({
      id: "a",
      // @ts-expect-error io.wait exists
      integrations: { wait: mailer },
      trigger: invokeTrigger(),
      run: () => 1,
    });
    defineJob({
      id: "b",
      integrations: { waits: mailer },
      trigger: invokeTrigger(),
      run: (_payload, io) => expectTypeOf(io.waits).toEqualTypeOf<Mailer>(),
    });
  });
});

declare const io: Io;

describe("a task", () => {
  test("gives what its callback gives", async () => {
    expectTypeOf(await io.runTask("a", async () => ({ n: 1 }))).toEqualTypeOf<{ n: number }>();
    expectTypeOf(await io.runTask("a", () => "text")).toEqualTypeOf<string>();
    expectTypeOf(await io.runTask("a", async () => {})).toEqualTypeOf<void>();
    const either = await io.runTask("a", (task) => (task.attempt > 1 ? "late" : 1));
    expectTypeOf(either).toEqualTypeOf<string | number>();
    // @ts-expect-error text is no number
    (await io.runTask("a", () => "text")) satisfies number;
  });

  test("may do nothing but throw", async () => {
    const fail = async (): Promise<never> => {
      throw new Error("down");
    };
    expectTypeOf(await io.runTask("a", fail)).toEqualTypeOf<never>();
    expectTypeOf(
      await io.runTask("b", () => {
        throw new Error("down");
      }),
    ).toEqualTypeOf<never>();
  });

  test("cannot return a function, since what it returns is stored", () => {
    // @ts-expect-error a function
    void io.runTask("a", () => () => 1);
    // @ts-expect-error a promise of a function
    void io.runTask("a", async () => () => 1);
    // @ts-expect-error perhaps a function
    void io.runTask("a", (task) => (task.attempt > 1 ? () => 1 : "text"));
    void io.runTask("a", () => [1, 2, 3]);
  });

  test("knows itself and has an io of its own", () => {
    void io.runTask(["a", 1], (task, inner) => {
      expectTypeOf(task).toEqualTypeOf<Task>();
      expectTypeOf(inner).toEqualTypeOf<Io>();
      // @ts-expect-error there is no such property
      task.attempts;
    });
    // @ts-expect-error a key is text or an array of scalars
    void io.runTask({ key: "a" }, () => 1);
    // @ts-expect-error there is no such option
    void io.runTask("a", () => 1, { retries: 3 });
  });

  test("decides in onError what comes next", () => {
    const task = () => 1;
    void io.runTask("a", task, {}, () => undefined);
    void io.runTask("a", task, {}, async () => ({ retryAt: new Date() }));
    void io.runTask("a", task, {}, (_error, { attempt }) =>
      attempt > 3 ? new Error() : undefined,
    );
    // @ts-expect-error an instant is a Date
    void io.runTask("a", task, {}, () => ({ retryAt: 5 }));
  });
});

describe("HTTP", () => {
  test("gives what is said to come", async () => {
    expectTypeOf(await io.backgroundFetch("a", "https://a.example")).toEqualTypeOf<unknown>();
    expectTypeOf(
      await io.backgroundFetch<{ n: number }>("a", new URL("https://a.example")),
    ).toEqualTypeOf<{ n: number }>();
    const response = await io.backgroundFetchResponse<string>("a", "https://a.example");
    expectTypeOf(response).toEqualTypeOf<BackgroundResponse<string>>();
    expectTypeOf(response.headers).toEqualTypeOf<Readonly<Record<string, string>>>();
    const polled = io.backgroundPoll<{ n: number }>("a", {
      url: "https://a.example",
      interval: "1m",
      timeout: { hours: 2 },
      responseFilter: { status: [{ $gte: 200 }], headers: { "x-a": ["1"] }, body: { n: [1] } },
    });
    expectTypeOf(polled).resolves.toEqualTypeOf<{ n: number }>();
    // @ts-expect-error a poll needs a filter
    void io.backgroundPoll("a", { url: "https://a.example" });
  });

  test("takes rules by status", () => {
    const url = "https://a.example";
    void io.backgroundFetch(
      "a",
      url,
      { method: "POST", body: new Uint8Array(1) },
      {
        retry: {
          429: { strategy: "headers", resetHeader: "x", resetFormat: "http_date" },
          "5xx": { strategy: "backoff", limit: 3, bodyFilter: { a: [true] } },
        },
        timeout: { durationInMs: 500, retry: { limit: 2 } },
        redact: { headers: ["x"], paths: ["token"] },
        idempotencyHeader: false,
        fetch: globalThis.fetch,
      },
    );
    // @ts-expect-error there is no such strategy
    void io.backgroundFetch("a", url, {}, { retry: { all: { strategy: "luck" } } });
    // @ts-expect-error the header is missing
    void io.backgroundFetch("a", url, {}, { retry: { all: { strategy: "headers" } } });
    const headers = { strategy: "headers", resetHeader: "x" } as const;
    // @ts-expect-error there is no such format
    void io.backgroundFetch("a", url, {}, { retry: { all: { ...headers, resetFormat: "x" } } });
    // @ts-expect-error an object is no body
    void io.backgroundFetch("a", url, { body: { a: 1 } });
    // @ts-expect-error a stream cannot be sent twice
    void io.backgroundFetch("a", url, { body: new ReadableStream() });
  });

  test("fetch functions fit", () => {
    expectTypeOf(globalThis.fetch).toExtend<FetchFunction>();
    expectTypeOf(safeFetch()).toExtend<FetchFunction>();
    createClient({ fetch: safeFetch({ maxRedirects: 1 }) });
    expectTypeOf(calculateResetAt).returns.toEqualTypeOf<Date | undefined>();
    // @ts-expect-error there is no such format
    calculateResetAt("1", "minutes", new Date());
  });
});

test("branches and items keep their types", async () => {
  const first = await io.waitForAny("first", {
    late: (branch) => branch.wait("a", "1d"),
    done: (branch) => branch.runTask("b", () => 5),
  });
  if (first.name === "done") expectTypeOf(first.value).toEqualTypeOf<number>();
  else expectTypeOf(first.value).toEqualTypeOf<void>();
  // @ts-expect-error there is no branch of this name
  first.name === "never";

  const lengths = await io.parallel("each", ["a", "b"], (item, index, inner) =>
    inner.runTask("length", () => item.length + index),
  );
  expectTypeOf(lengths).toEqualTypeOf<number[]>();
  // @ts-expect-error the items are text
  void io.parallel("each", ["a"], (item: number) => item);
  // @ts-expect-error a duration is a number, text or an object of units
  void io.wait("a", { years: 1 });
});

test("a token is typed from its creation to its completion", async () => {
  const token = await io.createToken<{ by: string }>("approval", { timeout: "7d" });
  expectTypeOf(await io.waitForToken("approved", token)).toEqualTypeOf<{ by: string }>();
  await client.completeToken(token, { by: "Ada" });
  // @ts-expect-error completed with something else
  await client.completeToken(token, { of: "Ada" });
  expectTypeOf(await io.waitForToken("other", token.id)).toBeUnknown();
  await client.completeToken(token.id, "anything");
  // @ts-expect-error a token or its id
  void io.waitForToken("number", 5);
});

test("the stores know the types that they are told", () => {
  defineJob({
    id: "stores",
    trigger: invokeTrigger(),
    run: async (_payload, io) => {
      expectTypeOf(await io.store.run.get<string>("a", "n")).toEqualTypeOf<string | undefined>();
      expectTypeOf(await io.store.job.set("b", "n", 5)).toEqualTypeOf<number>();
      expectTypeOf(await io.store.env.increment("c", "n")).toEqualTypeOf<number>();
      // @ts-expect-error inside a run a key comes first
      await io.store.env.get("n");
      // @ts-expect-error the next value is of the type of the expected one
      await io.store.env.compareAndSet<string>("d", "n", "x", 5);
    },
  });
});
