import { APIError, OpenAI } from "openai";
import type { ChatCompletionCreateParamsNonStreaming } from "openai/resources/chat/completions";
import type { EmbeddingCreateParams } from "openai/resources/embeddings";
import type { ImageGenerateParamsNonStreaming } from "openai/resources/images";
import type { ModerationCreateParams } from "openai/resources/moderations";
import type { ResponseCreateParamsNonStreaming } from "openai/resources/responses/responses";
import { createIntegration, type IntegrationClient, task } from "../../core/create-integration.js";
import { ConfigError, isPawlError } from "../../core/errors.js";
import type { ConnectionAuth, Integration } from "../../core/integration.js";
import type { OnError, Task } from "../../core/io.js";
import { assertOptions, describe } from "../../core/options.js";
import { type RateLimitHeaders, retryAfterReset } from "../../core/rate-limit.js";
import { retry } from "../../core/retry.js";
import { assertKeyOption, assertUrlOption } from "../key-option.js";

export interface OpenAIOptions {
  /** Your own key. Without it an auth resolver gives the key of each account. */
  readonly apiKey?: string | undefined;
  /** Of any service with the same API. Default: that of the SDK. */
  readonly baseURL?: string;
  /** What `defineAuthResolver` and `connectionReady` name. Default "openai". */
  readonly id?: string;
  readonly organization?: string;
}

/** The SDK sends its own option `idempotencyKey` to nobody, so the header is set here. */
function once({ idempotencyKey, signal }: Task) {
  return { headers: { "Idempotency-Key": idempotencyKey }, signal };
}

/** A stream cannot be stored; refused only once it is there, it would have been paid for. @throws ConfigError OPTION_INVALID */
function whole<Body extends object>(body: Body): Body {
  const stream: unknown = Reflect.get(body, "stream");
  if (stream === undefined || stream === null || stream === false) return body;
  throw new ConfigError(
    "OPTION_INVALID",
    `stream of an OpenAI call is ${describe(stream)}, and a stream cannot be remembered; leave it out. To pass on parts as they come, read the stream in io.runTask and return the whole text.`,
    { details: { option: "stream" } },
  );
}

const tasks = {
  chat: {
    completions: {
      create: task((sdk: OpenAI, body: ChatCompletionCreateParamsNonStreaming, task) =>
        sdk.chat.completions.create(whole(body), once(task)),
      ),
    },
  },
  responses: {
    create: task((sdk: OpenAI, body: ResponseCreateParamsNonStreaming, task) =>
      sdk.responses.create(whole(body), once(task)),
    ),
  },
  embeddings: {
    create: task((sdk: OpenAI, body: EmbeddingCreateParams, task) =>
      sdk.embeddings.create(body, once(task)),
    ),
  },
  images: {
    generate: task((sdk: OpenAI, body: ImageGenerateParamsNonStreaming, task) =>
      sdk.images.generate(whole(body), once(task)),
    ),
  },
  moderations: {
    create: task((sdk: OpenAI, body: ModerationCreateParams, task) =>
      sdk.moderations.create(body, once(task)),
    ),
  },
  models: {
    list: task(
      async (sdk: OpenAI, _params: Record<never, never>, { signal }) =>
        (await sdk.models.list({ signal })).data,
    ),
  },
};

/** What `io.openai` is. */
export type OpenAIClient = IntegrationClient<OpenAI, typeof tasks>;

const limits: readonly RateLimitHeaders[] = ["requests", "tokens"].map((what) => ({
  remainingHeader: `x-ratelimit-remaining-${what}`,
  resetHeader: `x-ratelimit-reset-${what}`,
  resetFormat: "iso_8601_duration_openai_variant",
}));

const onError: OnError = (error, _task, _io, now) => {
  if (isPawlError(error, "OPTION_INVALID")) return { skipRetrying: true };
  // Without a status there was no answer.
  if (!(error instanceof APIError) || error.status === undefined) return undefined;
  if (!isTransient(error)) return { skipRetrying: true };
  return retryAfterReset(error.headers, limits, now);
};

function isTransient({ status = 0, code, headers }: APIError): boolean {
  // The service knows best, and the SDK would obey it as well.
  const advice = headers?.get("x-should-retry");
  if (advice === "true" || advice === "false") return advice === "true";
  if (status === 429) return code !== "insufficient_quota";
  return status === 408 || status === 409 || status >= 500;
}

/**
 * OpenAI's API, or any that is like it, by the official `openai`, as tasks. A rate limit parks the
 * run until it is reset; timeouts, conflicts and errors of the server are tried again; the rest is
 * not, nor is a quota that is used up. Each POST bears the task's idempotency key as
 * `Idempotency-Key`: a service that heeds it makes one completion also after a crash.
 *
 * @example
 * client.defineJob({
 *   id: "summarize",
 *   trigger: invokeTrigger(),
 *   integrations: { openai: openai({ apiKey: process.env.OPENAI_API_KEY }) },
 *   run: async (text, io) => {
 *     const answer = await io.openai.responses.create("summary", { model: "gpt-5-mini", input: `Summarize: ${text}` });
 *     return answer.output_text;
 *   },
 * });
 * @throws ConfigError OPTION_INVALID, for instance for a key from an environment variable that is
 * not set; OPTION_UNKNOWN
 */
export function openai(options: OpenAIOptions = {}): Integration<OpenAIClient> {
  assertOptions(options, ["apiKey", "baseURL", "id", "organization"], "openai()");
  assertKeyOption(options, "apiKey", "openai()");
  const { apiKey, baseURL, id = "openai", organization } = options;
  assertUrlOption(baseURL, "baseURL", "openai()");
  return createIntegration({
    id,
    name: "OpenAI",
    icon: "openai",
    authSource: apiKey === undefined ? "HOSTED" : "LOCAL",
    client: (auth: ConnectionAuth | undefined) =>
      new OpenAI({
        // Those of the environment belong to the key of the environment.
        ...(auth && { organization: null, project: null }),
        ...(organization !== undefined && { organization }),
        ...(baseURL !== undefined && { baseURL }),
        apiKey: auth?.accessToken ?? apiKey ?? null,
        maxRetries: 0,
      }),
    tasks,
    retry: retry.exponentialBackoff,
    onError,
  });
}
