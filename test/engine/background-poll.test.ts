import type { BackgroundPollOptions, Io } from "pawl";
import { expect, test } from "vitest";
import { gate, jobOf, Machine, runToEnd, start } from "./drive.js";
import { type Reply, servers } from "./scripted-server.js";
import { codeOf, until } from "./support.js";
import { describeEngine } from "./world.js";

const done = { body: { state: ["done"] } };
const pending: Reply = { body: { state: "pending" } };

describeEngine("backgroundPoll", (world) => {
  const serve = servers();

  const polling = (io: Io, url: string, options: Partial<BackgroundPollOptions> = {}) =>
    io.backgroundPoll("poll", { url, responseFilter: done, ...options });

  /** Milliseconds from the first poll to each. */
  async function pollTimes(replies: Reply[], options: Partial<BackgroundPollOptions>) {
    const times: number[] = [];
    const scripts = replies.map((reply) => () => {
      times.push(world().clock.now());
      return reply;
    });
    const server = await serve(...scripts);
    const run = await runToEnd(world(), (io) => polling(io, server.url, options));
    return { run, times: times.map((time) => time - (times[0] ?? 0)) };
  }

  test("I21: polls at intervals until an answer meets the filter, and gives its body", async () => {
    const { run, times } = await pollTimes([pending, pending, { body: { state: "done", n: 7 } }], {
      interval: "30s",
    });
    expect(times).toEqual([0, 30_000, 60_000]);
    expect(run.output).toEqual({ state: "done", n: 7 });
  });

  test("I21: is parked between polls, which explainRun tells", async () => {
    const server = await serve(pending);
    const started = await start(world(), (io) => polling(io, server.url));
    const run = await started.drain();
    expect(run.status).toBe("WAITING");
    expect(run.availableAt?.getTime()).toBe(world().clock.now() + 10_000);
    expect(await started.client.explainRun(started.id)).toMatch(
      /polls at "poll": 1 poll\(s\) so far, the next at .*00:00:10.000Z, until .*00:10:00.000Z\. The last: GET .* was answered 200: \{"state":"pending"\}\. It does not meet responseFilter/,
    );
  });

  test("I21: status, headers and body of the filter must all hold", async () => {
    const ready = { status: 201, headers: { "X-State": "ready" }, body: { n: 1 } };
    const { run, times } = await pollTimes(
      [
        { ...ready, status: 200 },
        { ...ready, headers: { "x-state": "soon" } },
        { ...ready, headers: {} },
        { ...ready, body: { n: 0 } },
        { ...ready, body: "text" },
        ready,
      ],
      {
        interval: 1,
        responseFilter: {
          status: [201],
          headers: { "x-STATE": ["ready"] },
          body: { n: [{ $gt: 0 }] },
        },
      },
    );
    expect(times).toHaveLength(6);
    expect(run.output).toEqual({ n: 1 });
  });

  test("I21: without a status in the filter only a success counts; with one any status can", async () => {
    const failure = { status: 500, body: { state: "done" } };
    expect((await pollTimes([failure, { body: { state: "done" } }], {})).times).toHaveLength(2);
  });

  test("I21: a status in the filter may be a failure", async () => {
    const { run } = await pollTimes([pending, { status: 404, body: { gone: true } }], {
      responseFilter: { status: [{ $gte: 404 }, { $lt: 405 }] },
    });
    expect(run.output).toEqual({ gone: true });
  });

  test("I21: each poll is an attempt of the task, and of very many the last are kept", async () => {
    const server = await serve(...Array.from({ length: 60 }, () => pending), {
      body: { state: "done" },
    });
    const run = await runToEnd(world(), (io) => polling(io, server.url, { interval: 1 }));
    expect(run.tasks).toHaveLength(1);
    const attempts = run.tasks?.[0]?.attempts ?? [];
    expect(attempts.at(-1)?.number).toBe(61);
    expect(attempts).toHaveLength(51);
    expect(attempts[0]?.error).toMatchObject({ code: "FETCH_ANSWER_UNEXPECTED" });
  });

  test("I21: rejects at the end of its time, after a last poll, and names the last answer", async () => {
    const { run, times } = await pollTimes([pending, { status: 502, body: "bad gateway" }], {
      interval: 10,
      timeout: 25,
    });
    expect(times).toEqual([0, 10_000, 20_000, 25_000]);
    expect(run.error).toMatchObject({
      name: "WaitTimeoutError",
      code: "WAIT_TIMEOUT",
      message: expect.stringMatching(/polled 4 time\(s\).*answered 502: bad gateway/),
    });
  });

  test("I21: an answer's Retry-After puts the next poll off, and those after it are in phase again", async () => {
    const asking = (value: string): Reply => ({ ...pending, headers: { "retry-after": value } });
    const { times } = await pollTimes(
      [asking("25"), asking("3"), { ...asking("12"), status: 429 }, { body: { state: "done" } }],
      { interval: 10 },
    );
    expect(times).toEqual([0, 25_000, 30_000, 42_000]);
  });

  test("I21: a Retry-After may be a date, and one that is nonsense does not count", async () => {
    const at = (seconds: number) => new Date(world().clock.now() + seconds * 1_000).toUTCString();
    const { times } = await pollTimes(
      [
        { status: 503, headers: { "retry-after": at(70) } },
        { status: 503, headers: { "retry-after": "soon" } },
        { status: 503, headers: { "retry-after": at(-3_600) } },
        { body: { state: "done" } },
      ],
      { interval: 10 },
    );
    expect(times).toEqual([0, 70_000, 80_000, 90_000]);
  });

  test("I21: a Retry-After beyond the end leaves the last poll where it is", async () => {
    const { run, times } = await pollTimes([{ status: 429, headers: { "retry-after": "3600" } }], {
      interval: 10,
      timeout: 25,
    });
    expect(times).toEqual([0, 25_000]);
    expect(run.error).toMatchObject({ code: "WAIT_TIMEOUT" });
  });

  test("I21: a Retry-After counts after a crash as well", async () => {
    const server = await serve(
      { ...pending, headers: { "retry-after": "90" } },
      {
        body: { state: "done" },
      },
    );
    const started = await start(world(), (io) => polling(io, server.url));
    await started.drain();
    const next = world().client({ jobs: [jobOf((io) => polling(io, server.url))] });
    world().clock.advance(89);
    await next.drain();
    expect(server.received).toHaveLength(1);
    world().clock.advance(1);
    await next.drain();
    expect((await started.read()).output).toEqual({ state: "done" });
  });

  test("I21: a network failure and a slow answer only mean that it goes on", async () => {
    const server = await serve(
      (_, response) => {
        response.destroy();
        return undefined;
      },
      () => undefined,
      { body: { state: "done" } },
    );
    const started = await start(world(), (io) =>
      polling(io, server.url, { interval: 10, requestTimeout: "3s" }),
    );
    await started.drain();
    world().clock.advance(10);
    const drained = started.drain();
    await until(() => server.received.length === 2);
    world().clock.advance(3);
    const run = await drained;
    expect(run.tasks?.[0]?.attempts.map(({ error }) => (error as { code?: string }).code)).toEqual([
      "FETCH_FAILED",
      "TASK_TIMEOUT",
    ]);
    // The phase is kept: 20 s after the first poll, not 10 s after the second one failed.
    expect(run.availableAt?.getTime()).toBe(world().clock.now() + 7_000);
    expect((await started.finish()).output).toEqual({ state: "done" });
  });

  test("I21: the end is fixed at the first encounter, also when the process dies in the first poll", async () => {
    const held = gate();
    const server = await serve(() => {
      held.open();
      return undefined;
    }, pending);
    const job = jobOf((io) => codeOf(polling(io, server.url, { interval: 10, timeout: 60 })));
    const machine = new Machine(world(), { jobs: [job] });
    const { id } = await machine.client.invoke(job, {});
    void machine.client.drain();
    await held.opened;
    machine.freeze();
    world().clock.advance(45);
    const next = world().client({ jobs: [job] });
    await next.drain();
    const parked = await next.getRun(id);
    expect(parked?.status).toBe("WAITING");
    expect(parked?.availableAt?.getTime()).toBe(world().clock.now() + 5_000);
    world().clock.advance(15);
    await next.drain();
    expect((await next.getRun(id))?.output).toBe("WAIT_TIMEOUT");
  });

  test("I21: whoever comes back late polls once more before it gives up", async () => {
    const server = await serve(pending, { body: { state: "done" } });
    const started = await start(world(), (io) => polling(io, server.url));
    await started.drain();
    world().clock.advance("1d");
    expect((await started.drain()).output).toEqual({ state: "done" });
  });

  test("I21: an answer that is too large ends it at once", async () => {
    const server = await serve({ body: { state: "done", text: "x".repeat(2_000) } });
    const run = await runToEnd(world(), (io) => polling(io, server.url), {
      client: { caps: { taskOutputBytes: 1_000 } },
    });
    expect(run.error).toMatchObject({ code: "VALUE_TOO_LARGE" });
    expect(server.received).toHaveLength(1);
  });

  test("I21: a poll with a body has no idempotency key, or it would get the same answer for ever", async () => {
    const server = await serve({ body: { state: "done" } });
    await runToEnd(world(), (io) =>
      polling(io, server.url, { requestInit: { method: "POST", body: "{}" } }),
    );
    expect(server.received[0]).toMatchObject({ method: "POST", body: "{}" });
    expect(server.received[0]?.headers).not.toHaveProperty("idempotency-key");
  });

  test("I21: secrets are in no record and no error", async () => {
    const server = await serve((request) => ({ status: 401, body: request.headers }));
    const run = await runToEnd(world(), (io) =>
      polling(io, server.url, {
        timeout: 0,
        requestInit: { headers: { authorization: "Bearer very-secret" } },
      }),
    );
    expect(server.received).toHaveLength(1);
    expect(run.error?.message).toMatch(/answered 401/);
    const { message, cause } = run.error as Error;
    const shown = JSON.stringify([run, message, (cause as Error).message, cause]);
    expect(shown).not.toContain("very-secret");
    expect(shown).toContain("[redacted]");
  });

  test("I21: hidden paths are hidden in what is told of an answer that does not fit as well", async () => {
    const server = await serve({ body: { state: "pending", resume: { token: "t-1" }, n: 1 } });
    const started = await start(world(), (io) =>
      polling(io, server.url, { redact: { paths: ["resume.token"] }, timeout: 20 }),
    );
    await started.drain();
    const explained = await started.client.explainRun(started.id);
    expect(explained).toContain('"resume":{"token":"[redacted]"},"n":1');
    const run = await started.finish();
    const { message, cause } = run.error as Error;
    const details = (cause as { details?: unknown }).details;
    expect(JSON.stringify([run, explained, message, cause, details])).not.toContain("t-1");
  });

  test("I21: the loser of a race is disarmed, and its request ended", async () => {
    const closed = gate();
    const server = await serve((_, response) => {
      response.on("close", () => closed.open());
      return undefined;
    });
    const started = await start(world(), (io) =>
      io.waitForAny("first", {
        poll: (branch) => polling(branch, server.url),
        event: (branch) => branch.runTask("task", () => until(() => server.received.length === 1)),
      }),
    );
    const run = await started.drain();
    expect(run.output).toMatchObject({ name: "event" });
    await closed.opened;
  });

  test("I21: takes a name, a fetch function of its own, and paths that readers do not see", async () => {
    const run = await runToEnd(world(), (io) =>
      polling(io, "http://service.invalid/", {
        name: "Export",
        redact: { paths: ["token"] },
        fetch: async () => Response.json({ state: "done", token: "t" }),
      }),
    );
    expect(run.output).toEqual({ state: "done", token: "t" });
    expect(run.tasks?.[0]).toMatchObject({
      name: "Export",
      kind: "backgroundPoll",
      output: { state: "done", token: "[redacted]" },
      params: { method: "GET", url: "http://service.invalid/", headers: {} },
    });
  });

  test("I21: refuses to poll nothing", async () => {
    const run = await runToEnd(world(), (io) =>
      codeOf(io.backgroundPoll("poll", undefined as unknown as BackgroundPollOptions)),
    );
    expect(run.output).toBe("OPTION_INVALID");
  });

  test.each<[string, object, string]>([
    ["no filter", { responseFilter: undefined }, "OPTION_INVALID"],
    ["an unknown part of the filter", { responseFilter: { code: [200] } }, "OPTION_UNKNOWN"],
    ["a status that is no list", { responseFilter: { status: 200 } }, "OPTION_INVALID"],
    ["headers that are no object", { responseFilter: { headers: ["x"] } }, "FILTER_INVALID"],
    ["a bad filter", { responseFilter: { body: { a: [{ $near: 1 }] } } }, "FILTER_INVALID"],
    ["no interval at all", { interval: 0 }, "OPTION_INVALID"],
    ["an unknown option", { every: 5 }, "OPTION_UNKNOWN"],
    ["no URL", { url: undefined }, "OPTION_INVALID"],
    ["a fetch that is no function", { fetch: "fetch" }, "OPTION_INVALID"],
  ])("I21: refuses %s before anything is sent", async (_, options, code) => {
    const server = await serve();
    const run = await runToEnd(world(), (io) =>
      codeOf(polling(io, server.url, options as Partial<BackgroundPollOptions>)),
    );
    expect(run.output).toBe(code);
    expect(server.received).toHaveLength(0);
  });
});
