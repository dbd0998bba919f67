import type { BackgroundFetchOptions, FetchInit, Io, Run } from "pawl";
import { describe, expect, test } from "vitest";
import { gate, jobOf, Machine, runToEnd, start } from "./drive.js";
import { type Reply, servers } from "./scripted-server.js";
import { codeOf, passingTime, until } from "./support.js";
import { describeEngine, type World } from "./world.js";

const exact = { strategy: "backoff", randomize: false } as const;

describeEngine("backgroundFetch", (world) => {
  const serve = servers();

  const fetching = (url: string, init?: FetchInit, options?: BackgroundFetchOptions) =>
    runToEnd(world(), (io) => io.backgroundFetch("fetch", url, init, options));

  /** Milliseconds from the first try to each. */
  async function tryTimes(replies: Reply[], options: BackgroundFetchOptions) {
    const times: number[] = [];
    const scripts = replies.map((reply) => () => {
      times.push(world().clock.now());
      return reply;
    });
    const server = await serve(...scripts);
    const run = await fetching(server.url, {}, options);
    return { run, times: times.map((time) => time - (times[0] ?? 0)) };
  }

  test("I20: gives the parsed body, and sends the request once however often the run is executed", async () => {
    const server = await serve({ body: { n: 1 } });
    const run = await runToEnd(world(), async (io) => {
      const data = await io.backgroundFetch<{ n: number }>("fetch", `${server.url}a?b=1`, {
        method: "PUT",
        headers: { "x-trace": "7" },
        body: JSON.stringify({ is: "sent" }),
      });
      await io.wait("later", "1d");
      return data.n;
    });
    expect(run.output).toBe(1);
    expect(server.received).toHaveLength(1);
    expect(server.received[0]).toMatchObject({
      method: "PUT",
      path: "/a?b=1",
      body: '{"is":"sent"}',
      headers: { "x-trace": "7" },
    });
  });

  test("I20: backgroundFetchResponse gives status, headers and data; a reader does not see the cookie", async () => {
    const headers = { "x-page": "2", "set-cookie": ["id=very-secret", "b=2"] };
    const server = await serve({ status: 201, headers, body: [1] });
    const run = await runToEnd(world(), (io) => io.backgroundFetchResponse("fetch", server.url));
    expect(run.output).toMatchObject({
      status: 201,
      data: [1],
      headers: { "x-page": "2", "set-cookie": "id=very-secret, b=2" },
    });
    expect(run.tasks?.[0]?.output).toMatchObject({ headers: { "set-cookie": "[redacted]" } });
    expect(run.tasks?.[0]?.outputProperties).toEqual([{ label: "status", text: "201" }]);
  });

  test("I20: a pattern of statuses decides about the next try, which parks the run", async () => {
    const server = await serve({ status: 503 }, { status: 500 }, { body: "done" });
    const started = await start(world(), (io) =>
      io.backgroundFetch("fetch", server.url, {}, { retry: { "50x": exact } }),
    );
    const parked = await started.drain();
    expect(parked.status).toBe("WAITING");
    expect(parked.availableAt?.getTime()).toBe(world().clock.now() + 1_000);
    expect(await started.client.explainRun(started.id)).toMatch(/retry task "fetch".*answered 503/);
    const run = await started.finish();
    expect(run.output).toBe("done");
    expect(run.tasks?.[0]?.attempts.map(({ error }) => error?.message)).toEqual([
      expect.stringMatching(/GET .*was answered 503\. It is tried again at/),
      expect.stringMatching(/was answered 500/),
      undefined,
    ]);
  });

  test("I20: pauses grow as those of runTask, and the limit of the rule counts tries", async () => {
    const rule = { ...exact, limit: 4, minTimeoutInMs: 1_000, factor: 2 };
    const { run, times } = await tryTimes([{ status: 500, body: { why: "down" } }], {
      retry: { all: rule },
    });
    expect(times).toEqual([0, 1_000, 2_000, 4_000]);
    expect(run.error).toMatchObject({
      code: "FETCH_ANSWER_UNEXPECTED",
      message: expect.stringMatching(/answered 500: \{"why":"down"\}.*limit of its rule, 4,/),
      details: { status: 500, body: { why: "down" } },
    });
  });

  test("I20: the limit of a rule may be above the usual one, whatever job and client say", async () => {
    const server = await serve(...Array(7).fill({ status: 500 }), { body: "ok" });
    const rule = { ...exact, limit: 8 };
    const run = await runToEnd(
      world(),
      (io) => io.backgroundFetch("fetch", server.url, {}, { retry: { "5xx": rule } }),
      { client: { retry: { limit: 2 } }, job: { retry: { limit: 3 } } },
    );
    expect(run.output).toBe("ok");
    expect(server.received).toHaveLength(8);
  });

  test("I20: of several rules the first counts that matches status and body", async () => {
    const { run, times } = await tryTimes(
      [
        { status: 429, body: { error: { type: "slow_down" } } },
        { status: 429, body: { error: { type: "quota" } } },
      ],
      {
        retry: {
          "429": {
            ...exact,
            minTimeoutInMs: 7_000,
            bodyFilter: { error: { type: ["slow_down"] } },
          },
          "4xx": { ...exact, limit: 2 },
        },
      },
    );
    expect(times).toEqual([0, 7_000]);
    expect(run.error).toMatchObject({ message: expect.stringMatching(/limit of its rule, 2,/) });
  });

  test("I20: a rule for 2xx with a filter tries an answer again that is no success yet", async () => {
    const retry = { "200": { ...exact, bodyFilter: { state: ["pending"] } } };
    const { run, times } = await tryTimes(
      [{ body: { state: "pending" } }, { body: { state: "done" } }],
      { retry },
    );
    expect(times).toEqual([0, 1_000]);
    expect(run.output).toEqual({ state: "done" });
  });

  test("I20: the headers strategy waits until the limit is reset", async () => {
    const limited = (seconds: number): Reply => ({
      status: 429,
      headers: { "X-Left": "0", "X-Reset": String(world().clock.now() / 1000 + seconds) },
    });
    const { run, times } = await tryTimes([limited(90), limited(400), { body: "ok" }], {
      retry: {
        "429": { strategy: "headers", remainingHeader: "x-left", resetHeader: "x-reset" },
      },
    });
    expect(times).toEqual([0, 90_000, 400_000]);
    expect(run.output).toBe("ok");
  });

  test("I20: a backoff is parked as long as Retry-After says", async () => {
    const busy = { status: 503, headers: { "retry-after": "120" } };
    const { run, times } = await tryTimes([busy, { status: 503 }, { body: "ok" }], {
      retry: { "5xx": exact },
    });
    expect(times).toEqual([0, 120_000, 121_000]);
    expect(run.output).toBe("ok");
  });

  test("I20: the headers strategy does not count while requests are left, and has a limit", async () => {
    const headers = { "x-left": "0", "retry-after": "2", "x-limit": "100" };
    const { run, times } = await tryTimes(
      [
        { status: 403, headers },
        { status: 403, headers },
        { status: 403, headers: { ...headers, "x-left": "17" } },
      ],
      {
        retry: {
          "403": {
            strategy: "headers",
            limitHeader: "x-limit",
            remainingHeader: "x-left",
            resetHeader: "retry-after",
            resetFormat: "seconds",
          },
        },
      },
    );
    expect(times).toEqual([0, 2_000, 4_000]);
    expect(run.error).toMatchObject({ message: expect.stringMatching(/add a rule/) });

    const strategy = {
      strategy: "headers",
      limitHeader: "x-limit",
      resetHeader: "x-reset",
    } as const;
    const second = world().client();
    const job = jobOf(
      (io) => io.backgroundFetch("fetch", url, {}, { retry: { all: { ...strategy, limit: 1 } } }),
      { id: "second" },
    );
    const { url } = await serve({ status: 429, headers });
    second.attach(job);
    second.on("runFailed", () => {});
    const { id } = await second.invoke(job, {});
    await second.drain();
    const { error } = (await second.getRun(id)) as Run;
    expect(error?.message).toMatch(/limit of its rule, 1, is used up. The service allows 100/);
  });

  test("I20: without a rule a status other than 2xx rejects at once, with status and body", async () => {
    const server = await serve({ status: 404, body: { error: "no such" } });
    const run = await runToEnd(
      world(),
      async (io) => {
        try {
          return await io.backgroundFetch("fetch", server.url);
        } catch (error) {
          const { code, details } = error as { code: string; details: unknown };
          return { code, details };
        }
      },
      { client: { retry: { limit: 3 } } },
    );
    expect(run.output).toEqual({
      code: "FETCH_ANSWER_UNEXPECTED",
      details: { status: 404, body: { error: "no such" } },
    });
    expect(server.received).toHaveLength(1);
  });

  test("I20: text stays text, bytes stay bytes, nothing is undefined", async () => {
    const bytes = new Uint8Array([137, 80, 78, 71, 0, 255]);
    const server = await serve(
      { headers: { "content-type": "text/plain" }, body: '{"a":1}' },
      { headers: { "content-type": "image/png" }, body: bytes },
      { headers: { "content-type": "application/json" }, body: "{ broken" },
      { status: 204 },
    );
    const run = await runToEnd(world(), async (io) => {
      const data: unknown[] = [];
      for (const key of ["text", "bytes", "broken", "none"])
        data.push(await io.backgroundFetch(key, server.url));
      await io.wait("replay", 1);
      return data;
    });
    expect(run.output).toEqual(['{"a":1}', bytes, "{ broken", undefined]);
  });

  test("I20: an answer that is too large for a record rejects at once and is not read to its end", async () => {
    let sent = 0;
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      const more = () => {
        while (sent < 50_000_000) {
          sent += 10_000;
          if (!response.write("x".repeat(10_000))) {
            response.once("drain", more);
            return;
          }
        }
        response.end();
      };
      more();
      return undefined;
    });
    const run = await runToEnd(
      world(),
      (io) => io.backgroundFetch("fetch", server.url, {}, { retry: { all: exact } }),
      { client: { caps: { taskOutputBytes: 1_000 } } },
    );
    expect(run.error).toMatchObject({
      code: "VALUE_TOO_LARGE",
      message: expect.stringMatching(/more than 1000 bytes/),
    });
    expect(server.received).toHaveLength(1);
    expect(sent).toBeLessThan(50_000_000);
  });

  test("I20: a large answer of a failure is cut, not refused", async () => {
    const server = await serve({ status: 500, body: { text: "x".repeat(5_000) } });
    const run = await runToEnd(world(), (io) => io.backgroundFetch("fetch", server.url), {
      client: { caps: { taskOutputBytes: 100 } },
    });
    expect(run.error).toMatchObject({ details: { status: 500, body: expect.any(String) } });
  });
});

describeEngine("a try of backgroundFetch without an answer", (world) => {
  const serve = servers();

  test("I20: rejects with why, and is tried again by a rule for network", async () => {
    const server = await serve(
      (_, response) => {
        response.destroy();
        return undefined;
      },
      { body: "ok" },
    );
    const program = (io: Io) =>
      io.backgroundFetch("fetch", server.url, {}, { retry: { network: exact, "5xx": exact } });
    const run = await runToEnd(world(), program);
    expect(run.output).toBe("ok");
    expect(run.tasks?.[0]?.attempts[0]?.error).toMatchObject({
      code: "FETCH_FAILED",
      message: expect.stringMatching(/got no answer: other side closed|ECONNRESET|socket hang up/),
    });
  });

  test("I20: without such a rule there is one try", async () => {
    const server = await serve();
    const { url } = server;
    await server.close();
    server.close = async () => {};
    const run = await runToEnd(world(), (io) =>
      io.backgroundFetch("fetch", url, {}, { retry: { "5xx": exact } }),
    );
    expect(run.tasks?.[0]?.attempts).toHaveLength(1);
    expect(run.error).toMatchObject({
      code: "FETCH_FAILED",
      message: expect.stringMatching(/ECONNREFUSED/),
    });
  });

  test("I20: a timeout by the engine's clock bounds a try, its body included, and ends the request", async () => {
    const closed = gate();
    const server = await serve(
      (_, response) => {
        response.writeHead(200, { "content-type": "text/plain" });
        response.write("the beginning");
        response.on("close", () => closed.open());
        return undefined;
      },
      { body: "ok" },
    );
    const started = await start(world(), (io) =>
      io.backgroundFetch(
        "fetch",
        server.url,
        {},
        {
          timeout: { duration: "5s", retry: { limit: 2, randomize: false } },
        },
      ),
    );
    const drained = started.drain();
    await until(() => server.received.length === 1);
    await until(() => world().clock.untilNextTimerMs !== undefined);
    world().clock.advance(5);
    expect((await drained).tasks?.[0]?.attempts[0]?.error).toMatchObject({
      code: "TASK_TIMEOUT",
      message: expect.stringMatching(/no whole answer within 5000 ms/),
    });
    await closed.opened;
    expect((await started.finish()).output).toBe("ok");
  });

  test("I20: a fetch function that does not heed its signal holds nobody up", async () => {
    let calls = 0;
    const fetch = () => (++calls === 1 ? new Promise<never>(() => {}) : Response.json("ok"));
    const started = await start(world(), (io) =>
      io.backgroundFetch(
        "fetch",
        "http://service.invalid/",
        {},
        {
          name: "Rates",
          fetch: async () => fetch(),
          timeout: { durationInMs: 500, retry: { limit: 2 } },
        },
      ),
    );
    const drained = started.drain();
    await until(() => calls === 1);
    world().clock.advance(0.5);
    expect((await drained).status).toBe("WAITING");
    const run = await started.finish();
    expect(run.output).toBe("ok");
    expect(run.tasks?.[0]?.name).toBe("Rates");
  });

  test.each(["in time", "too late"])(
    "I20: the body of a fetch function that does not heed its signal and answers %s is given up",
    async (when) => {
      const givenUp = gate();
      const late = gate();
      let calls = 0;
      const body = new ReadableStream({
        pull: () => new Promise<never>(() => {}),
        cancel: () => givenUp.open(),
      });
      const started = await start(world(), (io) =>
        io.backgroundFetch(
          "fetch",
          "http://service.invalid/",
          {},
          {
            timeout: { durationInMs: 500 },
            fetch: async () => {
              calls += 1;
              if (when === "too late") await late.opened;
              return new Response(body);
            },
          },
        ),
      );
      const drained = started.drain();
      await until(() => calls === 1 && (when === "too late" || body.locked));
      world().clock.advance(0.5);
      expect((await drained).error).toMatchObject({ code: "TASK_TIMEOUT" });
      late.open();
      await givenUp.opened;
    },
  );

  test("I20: whatever a fetch function throws is an error with a code", async () => {
    let inner: Error | undefined;
    for (let depth = 0; depth < 9; depth++) inner = new Error(`depth ${depth}`, { cause: inner });
    const thrown = [
      "text",
      undefined,
      Object.assign(new Error(""), { code: "E_CODE" }),
      new TypeError(""),
      inner,
    ];
    const run = await runToEnd(world(), async (io) => {
      const messages: string[] = [];
      for (const [index, error] of thrown.entries()) {
        const fetch = () => Promise.reject(error);
        await io
          .backgroundFetch(["fetch", index], "http://service.invalid/", {}, { fetch })
          .catch(({ code, message }) => messages.push(`${code} ${message}`));
      }
      return messages;
    });
    expect(run.output).toEqual([
      expect.stringMatching(/^FETCH_FAILED GET .* got no answer: "text"\. Check/),
      expect.stringMatching(/^FETCH_FAILED .* got no answer: undefined\./),
      expect.stringMatching(/^FETCH_FAILED .* got no answer: E_CODE\./),
      expect.stringMatching(/^FETCH_FAILED .* got no answer: TypeError\./),
      expect.stringMatching(/^FETCH_FAILED .* got no answer: depth 4\./),
    ]);
  });

  test("I20: bytes and long texts of a failure are shown in short", async () => {
    const server = await serve(
      { status: 500, headers: { "content-type": "image/png" }, body: new Uint8Array(7) },
      { status: 500, headers: { "content-type": "text/plain" }, body: "long ".repeat(100) },
    );
    const run = await runToEnd(world(), async (io) => {
      const message = (error: Error) => error.message;
      const bytes = await io.backgroundFetch("bytes", server.url).catch(message);
      return [bytes, await io.backgroundFetch("text", server.url).catch(message)];
    });
    expect(run.output).toEqual([
      expect.stringMatching(/answered 500: 7 bytes\./),
      expect.stringMatching(/answered 500: (long ){40}…\./),
    ]);
  });

  test("I20: cancelling the run ends the request", async () => {
    const closed = gate();
    const server = await serve((_, response) => {
      response.on("close", () => closed.open());
      return undefined;
    });
    const started = await start(world(), (io) => io.backgroundFetch("fetch", server.url));
    const drained = started.drain();
    await until(() => server.received.length === 1);
    await started.client.cancelRun(started.id);
    await closed.opened;
    expect((await drained).status).toBe("CANCELED");
  });

  test("I20: stop ends the request, and the next worker sends it again", async () => {
    const closed = gate();
    const server = await serve(
      (_, response) => {
        response.on("close", () => closed.open());
        return undefined;
      },
      { body: "ok" },
    );
    const started = await start(world(), (io) => io.backgroundFetch("fetch", server.url));
    void started.client.drain().catch(() => {});
    await until(() => server.received.length === 1);
    await passingTime(world().clock, started.client.stop({ timeout: 0 }));
    await closed.opened;
    const next = world().client({ jobs: [jobOf((io) => io.backgroundFetch("fetch", server.url))] });
    await next.drain();
    expect((await next.getRun(started.id))?.output).toBe("ok");
  });
});

describeEngine("the idempotency key of backgroundFetch", (world) => {
  const serve = servers();
  const keysOf = async (
    init: FetchInit,
    options?: BackgroundFetchOptions,
    header = "idempotency-key",
  ) => {
    const server = await serve({ status: 503 }, { body: "ok" });
    await runToEnd(world(), (io) =>
      io.backgroundFetch("fetch", server.url, init, { retry: { all: exact }, ...options }),
    );
    return server.received.map(({ headers }) => headers[header]);
  };

  test("I20: is the same in each try", async () => {
    const [first, second] = await keysOf({ method: "POST" });
    expect(first).toMatch(/^\w+/);
    expect(second).toBe(first);
  });

  test("I20: is the same when a crash comes between the answer and its record", async () => {
    const server = await serve({ body: "ok" });
    const job = jobOf((io) => io.backgroundFetch("fetch", server.url, { method: "POST" }));
    const machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    machine.dieAtCommit(1);
    void machine.client.drain();
    await until(() => machine.isFrozen);
    world().clock.advance("1m");
    const next = world().client({ jobs: [job] });
    await next.drain();
    expect((await next.getRun(id))?.output).toBe("ok");
    const keys = server.received.map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
  });

  test("I20: crashes in a try and between tries neither use up tries nor give new ones", async () => {
    const server = await serve({ status: 503 });
    const options = { retry: { "5xx": { ...exact, limit: 3 } } };
    const job = jobOf((io) => io.backgroundFetch("fetch", server.url, {}, options));
    const machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    machine.dieAtCommit(1);
    void machine.client.drain();
    await until(() => machine.isFrozen);
    world().clock.advance("1m");
    // Each try is that of another process.
    for (const received of [2, 3, 4]) {
      const next = world().client({ jobs: [job] });
      next.on("runFailed", () => {});
      await next.drain();
      expect(server.received).toHaveLength(received);
      world().clock.advance("1m");
    }
    const run = await world()
      .client({ jobs: [job] })
      .getRun(id, { tasks: true });
    expect(run?.error?.message).toMatch(/try 3\).*limit of its rule, 3,/);
    expect(run?.tasks?.[0]?.attempts.map(({ number }) => number)).toEqual([1, 2, 3]);
  });

  test("I20: is left out for methods that change nothing", async () => {
    expect(await keysOf({})).toEqual([undefined, undefined]);
  });

  test("I20: is switched off with false", async () => {
    expect(await keysOf({ method: "POST" }, { idempotencyHeader: false })).toEqual([
      undefined,
      undefined,
    ]);
  });

  test("I20: gives way to that of the request", async () => {
    expect(await keysOf({ method: "POST", headers: { "Idempotency-Key": "mine" } })).toEqual([
      "mine",
      "mine",
    ]);
  });

  test("I20: goes into another header that is named", async () => {
    const keys = await keysOf(
      { method: "POST" },
      { idempotencyHeader: "X-Request-Id" },
      "x-request-id",
    );
    expect(keys[0]).toMatch(/^\w+/);
  });
});

describeEngine("secrets of backgroundFetch", (world) => {
  const serve = servers();

  /** Everything of the run that anybody can read. */
  async function allText(target: World, program: (io: Io) => unknown): Promise<string> {
    const lines: unknown[] = [];
    const run = await runToEnd(target, program, {
      client: { onError: (error) => lines.push(String(error)) },
    });
    const seen = new Set<unknown>();
    return JSON.stringify([run, lines], (_, value: unknown) => {
      if (!(value instanceof Error) || seen.has(value)) return value;
      seen.add(value);
      const { name, message, stack, cause } = value;
      return { ...value, name, message, stack, cause };
    });
  }

  const secrets = {
    Authorization: "Bearer sk-very-secret",
    Cookie: "session=cookie-secret; theme=dark",
    "X-Api-Key": "api-key-secret",
    "X-Mine": "mine-secret",
  };
  const words = [
    "sk-very-secret",
    "cookie-secret",
    "api-key-secret",
    "mine-secret",
    "pass-word",
    "query-secret",
    "hook-secret",
    "tenant-secret",
  ];

  test("I20: are in no record and no error, also when the service repeats them", async () => {
    const server = await serve((request) => ({
      status: 400,
      body: {
        headers: request.headers,
        url: request.path,
        nested: [{ says: "no sk-very-secret here" }],
      },
    }));
    const url = `${server.url.replace("//", "//user:pass-word@")}hook-secret?access_token=query-secret&tenant=tenant-secret&page=2#frag`;
    const text = await allText(world(), (io) =>
      io.backgroundFetch(
        "fetch",
        url,
        { method: "POST", headers: secrets, body: "body-secret" },
        {
          redact: { headers: ["x-mine"], query: ["tenant"], values: ["hook-secret"] },
          retry: { all: { ...exact, limit: 2 } },
        },
      ),
    );
    expect(server.received[0]?.headers).toMatchObject({
      authorization: "Bearer sk-very-secret",
      "x-mine": "mine-secret",
    });
    for (const word of [...words, "body-secret"]) expect(text).not.toContain(word);
    expect(text).toContain("page=2");
    expect(text).toContain('"x-api-key":"[redacted]"');
    expect(text).toContain('"method":"POST"');
  });

  test("I20: are in no error of a fetch function either", async () => {
    const text = await allText(world(), (io) =>
      io.backgroundFetch(
        "fetch",
        "http://user:pass-word@service.example/?sig=query-secret",
        { headers: secrets },
        {
          redact: { headers: ["x-mine"] },
          fetch: (url, { headers }) =>
            Promise.reject(
              new TypeError(`cannot fetch ${url}`, {
                cause: Object.assign(new Error(JSON.stringify([...headers])), { code: "E_MINE" }),
              }),
            ),
        },
      ),
    );
    for (const word of words) expect(text).not.toContain(word);
    expect(text).toContain("E_MINE");
  });

  test.each<[string, string, (io: Io, url: string) => Promise<unknown>]>([
    [
      "backgroundFetch",
      "session.id",
      (io, url) => io.backgroundFetch("fetch", url, {}, { redact: { paths: ["session.id"] } }),
    ],
    [
      "backgroundFetchResponse",
      "data.session.id",
      (io, url) =>
        io.backgroundFetchResponse("fetch", url, {}, { redact: { paths: ["data.session.id"] } }),
    ],
  ])("I20: %s hides the path %s in the error of an unexpected answer, too", async (_, __, call) => {
    const server = await serve({ status: 409, body: { session: { id: "s-very-secret" }, n: 1 } });
    const run = await runToEnd(world(), (io) => call(io, server.url));
    expect(run.error).toMatchObject({
      message: expect.stringContaining('{"session":{"id":"[redacted]"},"n":1}'),
      details: { status: 409, body: { session: { id: "[redacted]" }, n: 1 } },
    });
  });

  test("I20: a user and a password in the URL are sent as basic authorization", async () => {
    const server = await serve({ body: "ok" });
    await runToEnd(world(), (io) =>
      io.backgroundFetch("fetch", server.url.replace("//", "//%C3%A4:p%40ss@")),
    );
    expect(server.received[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from("ä:p@ss").toString("base64")}`,
    );
  });
});

describe("what backgroundFetch refuses", () => {
  const refused = (...args: unknown[]) => Reflect.apply(refusal, undefined, args);

  async function refusal(url: unknown, init?: unknown, options?: unknown): Promise<unknown> {
    const { createClient, defineJob, invokeTrigger } = await import("pawl");
    const { memory } = await import("pawl/memory");
    let sent = 0;
    const client = createClient({
      storage: memory(),
      fetch: async () => {
        sent++;
        return new Response("ok");
      },
    });
    const job = defineJob({
      id: "job",
      trigger: invokeTrigger(),
      run: (_: unknown, io: Io) =>
        codeOf(
          io.backgroundFetch(
            "fetch",
            url as string,
            init as FetchInit,
            options as BackgroundFetchOptions,
          ),
        ),
    });
    client.attach(job);
    const { id } = await client.invoke(job, {});
    await client.drain();
    const code = (await client.getRun(id))?.output;
    await client.stop();
    return sent === 0 ? code : `${String(code)}, sent`;
  }
  const url = "https://service.example/";

  test.each<[string, unknown[], string]>([
    ["another scheme", ["file:///etc/passwd"], "OPTION_INVALID"],
    ["a relative URL", ["/path"], "OPTION_INVALID"],
    ["no URL", [undefined], "OPTION_INVALID"],
    ["an unknown option of the request", [url, { mode: "cors" }], "OPTION_UNKNOWN"],
    ["a body of GET", [url, { body: "text" }], "OPTION_INVALID"],
    ["a body that is an object", [url, { method: "POST", body: { a: 1 } }], "OPTION_INVALID"],
    [
      "a stream, which cannot be sent twice",
      [url, { method: "POST", body: new ReadableStream() }],
      "OPTION_INVALID",
    ],
    ["a header with a line break", [url, { headers: { a: "b\r\nc: d" } }], "OPTION_INVALID"],
    ["an unknown option", [url, {}, { retries: 3 }], "OPTION_UNKNOWN"],
    ["an unknown pattern", [url, {}, { retry: { "5yy": exact } }], "OPTION_INVALID"],
    ["a range from high to low", [url, {}, { retry: { "599-500": exact } }], "OPTION_INVALID"],
    ["an unknown strategy", [url, {}, { retry: { all: { strategy: "luck" } } }], "OPTION_INVALID"],
    [
      "an unknown option of a strategy",
      [url, {}, { retry: { all: { ...exact, tries: 3 } } }],
      "OPTION_UNKNOWN",
    ],
    [
      "a strategy without its header",
      [url, {}, { retry: { all: { strategy: "headers" } } }],
      "OPTION_INVALID",
    ],
    [
      "an unknown format",
      [url, {}, { retry: { all: { strategy: "headers", resetHeader: "x", resetFormat: "x" } } }],
      "OPTION_INVALID",
    ],
    [
      "a bad filter",
      [url, {}, { retry: { all: { ...exact, bodyFilter: { a: [{ $near: 1 }] } } } }],
      "FILTER_INVALID",
    ],
    ["an unknown option of timeout", [url, {}, { timeout: { seconds: 5 } }], "OPTION_UNKNOWN"],
    ["two timeouts", [url, {}, { timeout: { duration: 5, durationInMs: 5 } }], "OPTION_INVALID"],
    ["a timeout of nothing", [url, {}, { timeout: { durationInMs: 0 } }], "OPTION_INVALID"],
    ["an unknown option of redact", [url, {}, { redact: { body: ["a"] } }], "OPTION_UNKNOWN"],
    ["no list of names", [url, {}, { redact: { headers: "x-mine" } }], "OPTION_INVALID"],
    ["a header name that is none", [url, {}, { idempotencyHeader: "a b" }], "OPTION_INVALID"],
    ["a fetch that is no function", [url, {}, { fetch: "fetch" }], "OPTION_INVALID"],
  ])("I20: %s, before anything is sent", async (_, args, code) => {
    expect(await refused(...args)).toBe(code);
  });
});
