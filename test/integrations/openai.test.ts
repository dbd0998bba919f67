import { notConnected } from "pawl";
import { type OpenAIClient, type OpenAIOptions, openai } from "pawl/integrations/openai";
import { afterEach, describe, expect, test, vi } from "vitest";
import { thrownCode, until } from "../engine/support.js";
import { describeEngine } from "../engine/world.js";
import { type Answer, doubles } from "./double.js";
import { OpenAIDouble, refusal } from "./openai-double.js";
import { crashAfterCall, startWith } from "./support.js";

const question = { model: "gpt-test", messages: [{ role: "user" as const, content: "Why?" }] };
const tooMany = refusal(429, "Rate limit reached.", "rate_limit_exceeded");

describeEngine("pawl/integrations/openai", (world) => {
  const serve = doubles(() => new OpenAIDouble());
  const own = (service: OpenAIDouble, apiKey = "sk-own") => ({
    openai: openai({ apiKey, baseURL: service.url }),
  });
  const ask = (io: { openai: OpenAIClient }) =>
    io.openai.chat.completions.create("answer", question);
  /** The keys that the service was sent. */
  const keys = (service: OpenAIDouble) =>
    service.calls.map(({ headers }) => headers["idempotency-key"]);

  test("N2: makes a completion once, however often the run is executed", async () => {
    const service = await serve();
    const started = await startWith(world(), own(service), async (io) => {
      const answer = await ask(io);
      await io.wait("later", "1d");
      return answer.choices[0]?.message.content;
    });
    const run = await started.finish();
    expect(run.output).toBe("answer 1 for own");
    expect(service.made).toBe(1);
    expect(run.tasks?.[0]).toMatchObject({
      name: "OpenAI chat.completions.create",
      icon: "openai",
      params: question,
    });
    expect(JSON.stringify(run)).not.toContain("sk-own");
  });

  test.each<[string, (io: { openai: OpenAIClient }) => Promise<unknown>, unknown]>([
    [
      "POST /v1/responses",
      async (io) =>
        (await io.openai.responses.create("t", { model: "gpt-test", input: "Why?" })).output_text,
      "answer 1 for own",
    ],
    [
      "POST /v1/embeddings",
      async (io) =>
        (
          await io.openai.embeddings.create("t", {
            model: "e",
            input: "Why?",
            encoding_format: "float",
          })
        ).data[0]?.embedding,
      [0.5, 0.25],
    ],
    [
      "POST /v1/images/generations",
      async (io) =>
        (await io.openai.images.generate("t", { model: "i", prompt: "A cat" })).data?.[0]?.url,
      "https://images.example/1.png",
    ],
    [
      "POST /v1/moderations",
      async (io) => (await io.openai.moderations.create("t", { input: "Hm" })).results[0]?.flagged,
      false,
    ],
    [
      "GET /v1/models",
      async (io) => (await io.openai.models.list("t", {})).map(({ id }) => id),
      ["gpt-test"],
    ],
    [
      "GET /v1/models",
      (io) => io.openai.runTask("t", async (sdk) => (await sdk.models.list()).data.length),
      1,
    ],
  ])("N2: has %s", async (route, call, output) => {
    const service = await serve();
    const run = await (await startWith(world(), own(service), call)).finish();
    expect(run.output).toEqual(output);
    expect(service.calls.map((call) => call.route)).toEqual([route]);
  });

  const limits = (requests: number, tokens: number) => ({
    "x-ratelimit-remaining-requests": String(requests),
    "x-ratelimit-reset-requests": "8.64s",
    "x-ratelimit-remaining-tokens": String(tokens),
    "x-ratelimit-reset-tokens": "6m0s",
  });
  test.each<[string, Record<string, string>, number]>([
    ["of requests", limits(0, 9), 8_640],
    ["of tokens", limits(0, 0), 360_000],
    ["that comes with Retry-After", { ...limits(0, 0), "retry-after": "20" }, 20_000],
  ])("N4: a rate limit %s parks the run until it is reset", async (_what, headers, ms) => {
    const service = await serve();
    service.troubles.push({ ...tooMany, headers });
    const started = await startWith(world(), own(service), ask);
    const parked = await started.drain();
    expect(parked.status).toBe("WAITING");
    expect(parked.availableAt?.getTime()).toBe(world().clock.now() + ms);
    world().clock.advance({ milliseconds: ms - 1 });
    expect((await started.drain()).status).toBe("WAITING");
    world().clock.advance({ milliseconds: 1 });
    expect((await started.drain()).status).toBe("COMPLETED");
    expect(new Set(keys(service)).size).toBe(1);
    expect(service).toMatchObject({ made: 1, calls: { length: 2 } });
  });

  test.each<[string, Answer | "hang up"]>([
    ["an answer 408", refusal(408, "Too slow.", "timeout")],
    ["an answer 409", refusal(409, "Locked.", "conflict")],
    ["an answer 429 without headers", tooMany],
    ["an answer 503", refusal(503, "Overloaded.", "overloaded")],
    [
      "an answer 400 that says so",
      { ...refusal(400, "Later.", "later"), headers: { "x-should-retry": "true" } },
    ],
    ["a connection that breaks", "hang up"],
  ])("N4: %s is tried again with the same key", async (_what, trouble) => {
    const service = await serve();
    service.troubles.push(trouble, trouble);
    const started = await startWith(world(), own(service), ask);
    expect((await started.drain()).status).toBe("WAITING");
    const run = await started.finish();
    expect(run.status).toBe("COMPLETED");
    expect(run.tasks?.[0]?.attempts).toHaveLength(3);
    expect(new Set(keys(service)).size).toBe(1);
    expect(service).toMatchObject({ made: 1, calls: { length: 3 } });
  });

  test.each([
    ["a wrong key", "sk-wrong", [], "AuthenticationError", "invalid_api_key"],
    [
      "a quota that is used up",
      "sk-own",
      [refusal(429, "You exceeded your current quota.", "insufficient_quota")],
      "RateLimitError",
      "insufficient_quota",
    ],
    [
      "a request that the service refuses",
      "sk-own",
      [refusal(400, "Too long.", "context_length_exceeded")],
      "BadRequestError",
      "context_length_exceeded",
    ],
    [
      "an answer 503 that says so",
      "sk-own",
      [{ ...refusal(503, "Down.", "down"), headers: { "x-should-retry": "false" } }],
      "InternalServerError",
      "down",
    ],
  ])("N4: %s is not tried again", async (_what, apiKey, troubles, name, code) => {
    const service = await serve();
    service.troubles.push(...troubles);
    const run = await (await startWith(world(), own(service, apiKey), ask)).finish();
    expect(service.calls).toHaveLength(1);
    expect(run).toMatchObject({ status: "FAILED", error: { name, code } });
  });

  test("N2: a crash between a completion and its record asks with the same key, and gets the same one", async () => {
    const service = await serve();
    const crashed = await crashAfterCall(world(), own(service), async (io) => {
      const answer = await ask(io);
      return answer.choices[0]?.message.content;
    });
    const run = await crashed.finish();
    expect(run.output).toBe("answer 1 for own");
    expect(service).toMatchObject({ made: 1, calls: { length: 2 } });
    expect(new Set(keys(service)).size).toBe(1);
  });

  test("N2: each task has a key of its own", async () => {
    const service = await serve();
    const started = await startWith(world(), own(service), (io) =>
      io.parallel("all", [1, 2], () => ask(io)),
    );
    expect((await started.finish()).status).toBe("COMPLETED");
    expect(new Set(keys(service)).size).toBe(2);
    expect(service.made).toBe(2);
  });

  test.each<[string, (io: { openai: OpenAIClient }) => Promise<unknown>]>([
    [
      "chat.completions.create",
      (io) => io.openai.chat.completions.create("t", { ...question, stream: true } as never),
    ],
    [
      "responses.create",
      (io) => io.openai.responses.create("t", { model: "m", input: "Why?", stream: true } as never),
    ],
    [
      "images.generate",
      (io) => io.openai.images.generate("t", { prompt: "A pawl", stream: true } as never),
    ],
  ])("N2: %s refuses to stream before anything is sent", async (_method, call) => {
    const service = await serve();
    const run = await (await startWith(world(), own(service), call)).finish();
    expect(run).toMatchObject({
      status: "FAILED",
      error: { code: "OPTION_INVALID", message: expect.stringContaining("stream") },
      tasks: [{ status: "FAILED", attempts: [{}] }],
    });
    expect(service.calls).toEqual([]);
  });

  test("N2: `stream: false` is an ordinary call", async () => {
    const service = await serve();
    const started = await startWith(world(), own(service), (io) =>
      io.openai.chat.completions.create("t", { ...question, stream: false }),
    );
    expect((await started.finish()).status).toBe("COMPLETED");
  });

  test("N2: cancelRun breaks off the request", async () => {
    const service = await serve();
    service.troubles.push("never");
    const started = await startWith(world(), own(service), ask);
    const draining = started.client.drain();
    await until(() => service.calls.length === 1);
    await started.client.cancelRun(started.id);
    await until(() => service.aborted === 1);
    await draining;
    expect((await started.read()).status).toBe("CANCELED");
  });

  describe("with keys of accounts", () => {
    afterEach(() => {
      vi.unstubAllEnvs();
    });

    test("N3: without a key the auth resolver gives that of each account, and the environment's organization is not sent", async () => {
      vi.stubEnv("OPENAI_ORG_ID", "org-of-somebody-else");
      vi.stubEnv("OPENAI_API_KEY", "sk-of-somebody-else");
      const service = await serve();
      service.accounts.set("sk-ada", "ada").set("sk-bob", "bob");
      const perAccount = openai({ baseURL: service.url });
      const outputs: unknown[] = [];
      for (const account of ["ada", "bob"]) {
        const started = await startWith(
          world(),
          { openai: perAccount },
          async (io) => (await ask(io)).choices[0]?.message.content,
          account,
          (client) =>
            client.defineAuthResolver(perAccount, ({ account: { id } = { id: "" } }) => ({
              type: "apiKey",
              token: `sk-${id}`,
            })),
        );
        outputs.push((await started.finish()).output);
      }
      expect(outputs).toEqual(["answer 1 for ada", "answer 2 for bob"]);
      expect(service.calls[0]?.headers).not.toHaveProperty("openai-organization");
    });

    test("N3: without a key and a resolver the run is UNRESOLVED_AUTH, also with a key in the environment", async () => {
      vi.stubEnv("OPENAI_API_KEY", "sk-own");
      const service = await serve();
      const started = await startWith(world(), { openai: openai({ baseURL: service.url }) }, ask);
      expect((await started.finish()).status).toBe("UNRESOLVED_AUTH");
      expect(service.calls).toEqual([]);
    });

    test("N3: a run waits until the account has given its key", async () => {
      const service = await serve();
      service.accounts.set("sk-ada", "ada");
      let token: string | undefined;
      const started = await startWith(
        world(),
        { openai: openai({ baseURL: service.url, organization: "org-ada" }) },
        ask,
        "ada",
        (client) =>
          client.defineAuthResolver("openai", () =>
            token === undefined ? notConnected : { type: "apiKey", token },
          ),
      );
      expect((await started.drain()).status).toBe("WAITING_ON_CONNECTIONS");
      token = "sk-ada";
      await started.client.connectionReady("openai", { accountId: "ada" });
      expect((await started.drain()).status).toBe("COMPLETED");
      expect(service.calls[0]?.headers["openai-organization"]).toBe("org-ada");
    });
  });
});

describe("openai()", () => {
  test.each<[string, unknown, string, RegExp]>([
    [
      "a key that is not set",
      { apiKey: undefined },
      "OPTION_INVALID",
      /apiKey of openai\(\) is undefined/,
    ],
    ["an empty key", { apiKey: "" }, "OPTION_INVALID", /apiKey of openai\(\) is ""/],
    ["an option that it does not have", { baseUrl: "x" }, "OPTION_UNKNOWN", /"baseUrl"/],
    ["a URL that is none", { baseURL: "localhost:80" }, "OPTION_INVALID", /baseURL of openai\(\)/],
  ])("N2: %s throws where the integration is made", (_what, options, code, text) => {
    const call = () => openai(options as OpenAIOptions);
    expect(thrownCode(call)).toBe(code);
    expect(call).toThrow(text);
  });
});
