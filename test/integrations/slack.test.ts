import { notConnected } from "pawl";
import { type Slack, type SlackOptions, slack } from "pawl/integrations/slack";
import { describe, expect, test } from "vitest";
import { turns } from "../engine/drive.js";
import { thrownCode, until } from "../engine/support.js";
import { describeEngine } from "../engine/world.js";
import { doubles } from "./double.js";
import { SlackDouble } from "./slack-double.js";
import { crashAfterCall, startWith } from "./support.js";

describeEngine("pawl/integrations/slack", (world) => {
  const serve = doubles(() => new SlackDouble());
  const own = (service: SlackDouble, token = "xoxb-own") => ({
    slack: slack({ token, slackApiUrl: service.url }),
  });
  const hello = { channel: "C1", text: "Hello" };

  test("N2: posts a message once, however often the run is executed, and gives what Slack answered", async () => {
    const service = await serve();
    const started = await startWith(world(), own(service), async (io) => {
      const { ts, channel } = await io.slack.chat.postMessage("hello", hello);
      await io.wait("later", "1d");
      return { ts, channel };
    });
    const run = await started.finish();
    expect(run.output).toEqual({ ts: "1.000100", channel: "C1" });
    expect(service.messages).toEqual([{ team: "T1", text: "Hello" }]);
    expect(run.tasks?.[0]).toMatchObject({
      name: "Slack chat.postMessage",
      icon: "slack",
      params: hello,
    });
    expect(JSON.stringify(run)).not.toContain("xoxb-own");
  });

  test.each<[string, (io: { slack: Slack }) => Promise<unknown>, object]>([
    [
      "chat.update",
      (io) => io.slack.chat.update("t", { channel: "C1", ts: "1.1", text: "New" }),
      { channel: "C1", ts: "1.1", text: "New" },
    ],
    [
      "chat.postEphemeral",
      (io) => io.slack.chat.postEphemeral("t", { ...hello, user: "U1" }),
      { ...hello, user: "U1" },
    ],
    [
      "conversations.join",
      (io) => io.slack.conversations.join("t", { channel: "C2" }),
      { channel: "C2" },
    ],
    [
      "conversations.open",
      (io) => io.slack.conversations.open("t", { users: "U1" }),
      { users: "U1" },
    ],
    [
      "reactions.add",
      (io) => io.slack.reactions.add("t", { channel: "C1", timestamp: "1.1", name: "tada" }),
      { channel: "C1", timestamp: "1.1", name: "tada" },
    ],
    ["users.info", (io) => io.slack.users.info("t", { user: "U1" }), { user: "U1" }],
    [
      "users.lookupByEmail",
      (io) => io.slack.users.lookupByEmail("t", { email: "a@b.co" }),
      { email: "a@b.co" },
    ],
    ["auth.test", (io) => io.slack.runTask("t", (sdk) => sdk.auth.test()), {}],
  ])("N2: has %s", async (method, call, body) => {
    const service = await serve();
    const run = await (await startWith(world(), own(service), call)).finish();
    expect(run.output).toMatchObject({ ok: true });
    expect(service.calls).toMatchObject([{ route: `POST /api/${method}`, body }]);
  });

  test("N4: a rate limit parks the run until it is over", async () => {
    const service = await serve();
    service.troubles.push({ status: 429, headers: { "retry-after": "30" }, body: {} });
    const started = await startWith(world(), own(service), (io) =>
      io.slack.chat.postMessage("hello", hello),
    );
    const parked = await started.drain();
    expect(parked.status).toBe("WAITING");
    expect(parked.availableAt?.getTime()).toBe(world().clock.now() + 30_000);
    world().clock.advance({ milliseconds: 29_999 });
    expect((await started.drain()).status).toBe("WAITING");
    world().clock.advance({ milliseconds: 1 });
    expect((await started.drain()).status).toBe("COMPLETED");
    expect(service.messages).toHaveLength(1);
    expect(service.calls).toHaveLength(2);
  });

  test.each([
    ["a wrong token", "xoxb-wrong", hello, "invalid_auth"],
    ["a channel that is not there", "xoxb-own", { ...hello, channel: "C9" }, "channel_not_found"],
  ])("N4: %s is not tried again", async (_what, token, message, refused) => {
    const service = await serve();
    const started = await startWith(world(), own(service, token), (io) =>
      io.slack.chat.postMessage("hello", message),
    );
    const run = await started.finish();
    expect(service.calls).toHaveLength(1);
    expect(run).toMatchObject({
      status: "FAILED",
      error: {
        name: "WebAPIPlatformError",
        code: "slack_webapi_platform_error",
        message: expect.stringContaining(refused),
      },
    });
  });

  test.each([400, 403, 404])("N4: an answer %i is not tried again", async (status) => {
    const service = await serve();
    service.troubles.push({ status, body: "no" });
    const started = await startWith(world(), own(service), (io) =>
      io.slack.chat.postMessage("hello", hello),
    );
    const run = await started.finish();
    expect(service.calls).toHaveLength(1);
    expect(run).toMatchObject({ status: "FAILED", error: { code: "slack_webapi_http_error" } });
  });

  test("N4: a server that is down and says until when is asked again then", async () => {
    const service = await serve();
    service.troubles.push({ status: 503, headers: { "Retry-After": "40" }, body: "down" });
    const started = await startWith(world(), own(service), (io) =>
      io.slack.chat.postMessage("hello", hello),
    );
    const parked = await started.drain();
    expect(parked.availableAt?.getTime()).toBe(world().clock.now() + 40_000);
    expect((await started.finish()).status).toBe("COMPLETED");
  });

  test.each([
    ["an answer 503", { status: 503, body: "down" }],
    ["an answer 408", { status: 408, body: "slow" }],
    ["an internal error of Slack", { body: { ok: false, error: "internal_error" } }],
    ["a limit of messages", { body: { ok: false, error: "rate_limited" } }],
    ["a connection that breaks", "hang up" as const],
    ["a rate limit without a time", { status: 429, body: {} }],
  ])("N4: %s is tried again after a pause", async (_what, trouble) => {
    const service = await serve();
    service.troubles.push(trouble, trouble);
    const started = await startWith(world(), own(service), (io) =>
      io.slack.chat.postMessage("hello", hello),
    );
    expect((await started.drain()).status).toBe("WAITING");
    const run = await started.finish();
    expect(run.status).toBe("COMPLETED");
    expect(run.tasks?.[0]?.attempts).toHaveLength(3);
    // The SDK tries nothing again by itself.
    expect(service.calls).toHaveLength(3);
  });

  test.each<[string, number, SlackOptions]>([
    ["two minutes", 120, {}],
    ["its timeout", 20, { timeout: "20s" }],
  ])(
    "N4: a call that hangs is broken off after %s and made again",
    async (_what, seconds, options) => {
      const service = await serve();
      service.troubles.push("never");
      const integrations = {
        slack: slack({ token: "xoxb-own", slackApiUrl: service.url, ...options }),
      };
      const started = await startWith(world(), integrations, (io) =>
        io.slack.chat.postMessage("hello", hello),
      );
      const draining = started.client.drain();
      await until(() => service.calls.length === 1);
      for (let second = 1; second < seconds; second++) {
        world().clock.advance(1);
        await turns(2);
      }
      expect(service.aborted).toBe(0);
      world().clock.advance(1);
      await until(() => service.aborted === 1);
      await draining;
      const run = await started.finish();
      expect(run.status).toBe("COMPLETED");
      expect(run.tasks?.[0]?.attempts).toMatchObject([{ error: { code: "TASK_TIMEOUT" } }, {}]);
      expect(service.messages).toHaveLength(1);
    },
  );

  test.each<[string, (io: { slack: Slack }) => Promise<unknown>]>([
    ["a task", (io) => io.slack.chat.postMessage("t", hello)],
    ["runTask", (io) => io.slack.runTask("t", (sdk) => sdk.auth.test())],
  ])("N2: cancelRun breaks off the request of %s", async (_what, call) => {
    const service = await serve();
    service.troubles.push("never");
    const started = await startWith(world(), own(service), call);
    const draining = started.client.drain();
    await until(() => service.calls.length === 1);
    await started.client.cancelRun(started.id);
    await until(() => service.aborted === 1);
    await draining;
    expect((await started.read()).status).toBe("CANCELED");
  });

  test("N4: a call may have a timeout of its own, and breaks off no other", async () => {
    const service = await serve();
    service.troubles.push("never", "never");
    const started = await startWith(world(), own(service), (io) =>
      Promise.all([
        io.slack.chat
          .postMessage("short", hello, { timeout: "5s", retry: false })
          .catch(() => "late"),
        io.slack.chat.postMessage("long", hello),
      ]),
    );
    const draining = started.client.drain();
    await until(() => service.calls.length === 2);
    world().clock.advance(5);
    await until(() => service.aborted === 1);
    await turns();
    expect(service.aborted).toBe(1);
    await started.client.cancelRun(started.id);
    await draining;
  });

  test("N2: a crash between a message and its record posts it again, since Slack knows no idempotency key", async () => {
    const service = await serve();
    const crashed = await crashAfterCall(world(), own(service), (io) =>
      io.slack.chat.postMessage("hello", hello),
    );
    expect((await crashed.finish()).status).toBe("COMPLETED");
    expect(service.messages).toHaveLength(2);
  });

  test("N2: with mode at-most-once the message is not posted again, and the run learns of it", async () => {
    const service = await serve();
    const post = { slack: slack({ token: "xoxb-own", slackApiUrl: service.url }) };
    const crashed = await crashAfterCall(
      world(),
      post,
      (io) => io.slack.chat.postMessage("hello", hello, { mode: "at-most-once" }),
      2,
    );
    expect((await crashed.finish()).error).toMatchObject({ code: "TASK_INTERRUPTED" });
    expect(service.messages).toHaveLength(1);
  });

  test("N3: without a token the auth resolver gives that of each account", async () => {
    const service = await serve();
    service.teams.set("xoxb-ada", "T-ada").set("xoxb-bob", "T-bob");
    const perAccount = slack({ slackApiUrl: service.url });
    for (const account of ["ada", "bob"]) {
      const started = await startWith(
        world(),
        { slack: perAccount },
        (io) => io.slack.chat.postMessage("hello", { ...hello, text: account }),
        account,
        (client) =>
          client.defineAuthResolver(perAccount, ({ account: { id } = { id: "" } }) => ({
            type: "oauth2",
            accessToken: `xoxb-${id}`,
          })),
      );
      expect((await started.finish()).status).toBe("COMPLETED");
    }
    expect(service.messages).toEqual([
      { team: "T-ada", text: "ada" },
      { team: "T-bob", text: "bob" },
    ]);
  });

  test("N3: a token of the account goes before the own one", async () => {
    const service = await serve();
    service.teams.set("xoxb-ada", "T-ada");
    const started = await startWith(
      world(),
      own(service),
      (io) => io.slack.chat.postMessage("hello", hello),
      "ada",
      (client) =>
        client.defineAuthResolver("slack", () => ({ type: "oauth2", accessToken: "xoxb-ada" })),
    );
    await started.finish();
    expect(service.messages).toEqual([{ team: "T-ada", text: "Hello" }]);
  });

  test("N3: without a token and a resolver the run is UNRESOLVED_AUTH, and nothing is sent", async () => {
    const service = await serve();
    const started = await startWith(world(), { slack: slack({ slackApiUrl: service.url }) }, (io) =>
      io.slack.chat.postMessage("hello", hello),
    );
    expect(await started.finish()).toMatchObject({
      status: "UNRESOLVED_AUTH",
      error: { code: "AUTH_UNRESOLVED" },
    });
    expect(service.calls).toEqual([]);
  });

  test("N3: a run waits until the account has connected Slack", async () => {
    const service = await serve();
    service.teams.set("xoxb-ada", "T-ada");
    let token: string | undefined;
    const started = await startWith(
      world(),
      { work: slack({ id: "slack-work", slackApiUrl: service.url }) },
      (io) => io.work.chat.postMessage("hello", hello),
      "ada",
      (client) =>
        client.defineAuthResolver("slack-work", () =>
          token === undefined ? notConnected : { type: "oauth2", accessToken: token },
        ),
    );
    expect((await started.drain()).status).toBe("WAITING_ON_CONNECTIONS");
    token = "xoxb-ada";
    await started.client.connectionReady("slack-work", { accountId: "ada" });
    expect((await started.drain()).status).toBe("COMPLETED");
    expect(service.messages).toEqual([{ team: "T-ada", text: "Hello" }]);
  });
});

describe("slack()", () => {
  test.each<[string, unknown, string, RegExp]>([
    [
      "a token that is not set",
      { token: undefined },
      "OPTION_INVALID",
      /token of slack\(\) is undefined/,
    ],
    ["an empty token", { token: "" }, "OPTION_INVALID", /token of slack\(\) is ""/],
    ["an option that it does not have", { tokn: "x" }, "OPTION_UNKNOWN", /"tokn"/],
    ["a timeout that is none", { token: "x", timeout: 0 }, "OPTION_INVALID", /timeout of/],
    ["a URL that is none", { slackApiUrl: "slack" }, "OPTION_INVALID", /slackApiUrl of slack\(\)/],
  ])("N2: %s throws where the integration is made", (_what, options, code, text) => {
    const call = () => slack(options as SlackOptions);
    expect(thrownCode(call)).toBe(code);
    expect(call).toThrow(text);
  });
});
