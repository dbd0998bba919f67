import { describe, expect, test } from "vitest";
import { doubles } from "./double.js";
import { OpenAIDouble } from "./openai-double.js";
import { SlackDouble } from "./slack-double.js";

// What they let pass the other tests could not notice.
describe("the double of OpenAI", () => {
  const serve = doubles(() => new OpenAIDouble());
  const auth = { authorization: "Bearer sk-own" };
  const keyed = { ...auth, "idempotency-key": "k" };
  const good = { model: "m", input: "text" };

  test.each<[string, string, string, Record<string, string>, object, number, string]>([
    ["a path it does not know", "POST", "embedding", keyed, good, 404, "unknown_url"],
    ["a method it does not know", "PUT", "embeddings", keyed, good, 404, "unknown_url"],
    ["no key", "POST", "embeddings", { "idempotency-key": "k" }, good, 401, "invalid_api_key"],
    [
      "a wrong key",
      "POST",
      "embeddings",
      { ...keyed, authorization: "Bearer x" },
      good,
      401,
      "invalid_api_key",
    ],
    [
      "a key without its scheme",
      "POST",
      "embeddings",
      { ...keyed, authorization: "sk-own" },
      good,
      401,
      "invalid_api_key",
    ],
    [
      "a field it does not know",
      "POST",
      "embeddings",
      keyed,
      { ...good, imput: 1 },
      400,
      "invalid_request",
    ],
    [
      "a field that is missing",
      "POST",
      "embeddings",
      keyed,
      { model: "m" },
      400,
      "invalid_request",
    ],
    ["no idempotency key", "POST", "embeddings", auth, good, 400, "no_idempotency_key"],
    [
      "an idempotency key of another request",
      "POST",
      "embeddings",
      { ...keyed, "idempotency-key": "taken" },
      good,
      409,
      "idempotency_key_in_use",
    ],
  ])("N2: refuses %s", async (_, method, path, headers, body, status, code) => {
    const service = await serve();
    const send = (at: string, init: RequestInit) => fetch(`${service.url}/${at}`, init);
    const taken = { ...auth, "idempotency-key": "taken" };
    const first = { method: "POST", headers: taken, body: JSON.stringify({ input: "a" }) };
    expect((await send("moderations", first)).status).toBe(200);
    const response = await send(path, { method, headers, body: JSON.stringify(body) });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
    expect(service.made).toBe(1);
  });
});

describe("the double of Slack", () => {
  const serve = doubles(() => new SlackDouble());
  const auth = { authorization: "Bearer xoxb-own" };
  const good = { channel: "C1", text: "Hello" };

  test.each<[string, string, string, Record<string, string>, Record<string, string>, string]>([
    ["a method it does not know", "POST", "chat.post", auth, good, "unknown_method"],
    ["another verb", "PUT", "chat.postMessage", auth, good, "unknown_method"],
    ["no token", "POST", "chat.postMessage", {}, good, "not_authed"],
    [
      "a wrong token",
      "POST",
      "chat.postMessage",
      { authorization: "Bearer x" },
      good,
      "invalid_auth",
    ],
    [
      "a token without its scheme",
      "POST",
      "chat.postMessage",
      { authorization: "xoxb-own" },
      good,
      "invalid_auth",
    ],
    [
      "a field it does not know",
      "POST",
      "chat.postMessage",
      auth,
      { ...good, txt: "a" },
      "invalid_arguments",
    ],
    [
      "a field that is missing",
      "POST",
      "chat.postMessage",
      auth,
      { channel: "C1" },
      "invalid_arguments",
    ],
    [
      "a channel it does not know",
      "POST",
      "chat.postMessage",
      auth,
      { ...good, channel: "C9" },
      "channel_not_found",
    ],
  ])("N2: refuses %s", async (_, method, path, headers, body, error) => {
    const service = await serve();
    const init = { method, headers, body: new URLSearchParams(body) };
    const response = await fetch(`${service.url}${path}`, init);
    expect(await response.json()).toEqual({ ok: false, error });
    expect(service.messages).toEqual([]);
  });
});
