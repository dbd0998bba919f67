import type { ChatPostMessageResponse, UsersInfoResponse, WebClient } from "@slack/web-api";
import type { OpenAI } from "openai";
import {
  createClient,
  createIntegration,
  invokeTrigger,
  type OnError,
  retryAfterReset,
  task,
} from "pawl";
import { openai } from "pawl/integrations/openai";
import { slack } from "pawl/integrations/slack";
import { describe, expectTypeOf, test } from "vitest";

const client = createClient();

describe("pawl/integrations/slack", () => {
  test("has the types of the SDK", () => {
    client.defineJob({
      id: "a",
      trigger: invokeTrigger(),
      integrations: { slack: slack({ token: process.env.SLACK_TOKEN }) },
      run: async (_payload, io) => {
        const { chat, users, runTask } = io.slack;
        const posted = await chat.postMessage("a", { channel: "C1", text: "Hello" });
        expectTypeOf(posted).toEqualTypeOf<ChatPostMessageResponse>();
        expectTypeOf(await users.info("b", { user: "U1" })).toEqualTypeOf<UsersInfoResponse>();
        const title = await runTask("c", async (sdk) => {
          expectTypeOf(sdk).toEqualTypeOf<WebClient>();
          return (await sdk.team.info()).team?.name;
        });
        expectTypeOf(title).toEqualTypeOf<string | undefined>();
        // @ts-expect-error a message goes to a channel
        await chat.postMessage("d", { text: "Hello" });
        // @ts-expect-error a key comes first
        await chat.postMessage({ channel: "C1", text: "Hello" });
        // @ts-expect-error a token would be stored with the task
        await chat.postMessage("e", { channel: "C1", text: "Hello", token: "xoxb" });
        // @ts-expect-error there is no such task
        io.slack.chat.shout;
      },
    });
    // @ts-expect-error it has no such option
    slack({ apiKey: "x" });
    slack({ token: "x", timeout: { seconds: 30 } });
  });
});

describe("pawl/integrations/openai", () => {
  test("has the types of the SDK", () => {
    client.defineJob({
      id: "b",
      trigger: invokeTrigger(),
      integrations: { ai: openai({ apiKey: process.env.OPENAI_API_KEY }) },
      run: async (_payload, io) => {
        const { chat, responses, models, embeddings, images } = io.ai;
        const messages = [{ role: "user" as const, content: "Why?" }];
        const completion = await chat.completions.create("a", { model: "m", messages });
        expectTypeOf(completion.choices[0]?.message.content).toEqualTypeOf<
          string | null | undefined
        >();
        const response = await responses.create("b", { model: "m", input: "Why?" });
        expectTypeOf(response.output_text).toEqualTypeOf<string>();
        expectTypeOf(await models.list("c", {})).toEqualTypeOf<OpenAI.Model[]>();
        expectTypeOf(
          await embeddings.create("d", { model: "m", input: "Why?" }),
        ).toExtend<OpenAI.CreateEmbeddingResponse>();
        // @ts-expect-error a stream cannot be remembered
        await chat.completions.create("e", { model: "m", messages, stream: true });
        // @ts-expect-error nor here
        await responses.create("g", { model: "m", input: "Why?", stream: true });
        // @ts-expect-error nor of an image
        await images.generate("h", { model: "m", prompt: "A pawl", stream: true });
        // @ts-expect-error a model is needed
        await chat.completions.create("f", { messages });
      },
    });
    // @ts-expect-error it has no such option
    openai({ token: "x" });
  });
});

class Files {
  async list(filter?: { readonly of: string }) {
    return filter === undefined ? [1] : [];
  }
}

test("a call that takes no parameters, or may go without, needs only a key", () => {
  const files = createIntegration({
    id: "files",
    client: () => new Files(),
    tasks: {
      all: task((sdk: Files) => sdk.list()),
      some: task((sdk: Files, filter: { readonly of: string } | undefined) => sdk.list(filter)),
      one: task((sdk: Files, filter: { readonly of: string }) => sdk.list(filter)),
    },
  });
  client.defineJob({
    id: "c",
    trigger: invokeTrigger(),
    integrations: { files },
    run: async (_payload, io) => {
      expectTypeOf(await io.files.all("a")).toEqualTypeOf<number[]>();
      expectTypeOf(await io.files.some("b")).toEqualTypeOf<number[]>();
      await io.files.some("c", { of: "ada" });
      await io.files.all("d", undefined, { retry: false });
      await io.files.one("e", { of: "ada" });
      // @ts-expect-error it takes none
      await io.files.all("f", { of: "ada" });
      // @ts-expect-error others are needed
      await io.files.some("g", { for: "ada" });
      // @ts-expect-error it needs some
      await io.files.one("h");
    },
  });
});

test("retryAfterReset makes an onError", () => {
  const onError: OnError = (error, _task, _io, now) => {
    expectTypeOf(now).toEqualTypeOf<Date>();
    return retryAfterReset((error as { headers: Headers }).headers, [], now);
  };
  expectTypeOf(onError).toBeFunction();
  // @ts-expect-error a format that does not exist
  retryAfterReset({}, [{ resetHeader: "a", resetFormat: "days" }], new Date());
});
