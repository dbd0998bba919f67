import {
  type ChatPostEphemeralArguments,
  type ChatPostMessageArguments,
  type ChatUpdateArguments,
  type ConversationsJoinArguments,
  type ConversationsOpenArguments,
  type ReactionsAddArguments,
  type UsersInfoArguments,
  type UsersLookupByEmailArguments,
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebClient,
} from "@slack/web-api";
import { createIntegration, type IntegrationClient, task } from "../../core/create-integration.js";
import type { Duration } from "../../core/duration.js";
import type { ConnectionAuth, Integration } from "../../core/integration.js";
import type { OnError, Task } from "../../core/io.js";
import { assertOptions } from "../../core/options.js";
import { retryAfterReset } from "../../core/rate-limit.js";
import { assertKeyOption, assertUrlOption } from "../key-option.js";

export interface SlackOptions {
  /** Bot or user token of your own workspace. Without it an auth resolver gives the token of each account. */
  readonly token?: string | undefined;
  /** What `defineAuthResolver` and `connectionReady` name. Default "slack". */
  readonly id?: string;
  /** Default: Slack's. */
  readonly slackApiUrl?: string;
  /** Bounds each attempt of each call, which is then broken off and fails with TASK_TIMEOUT. Default 120 s. */
  readonly timeout?: Duration;
}

/** What a task is called with is stored and shown, so it takes no token of its own. */
type Args<T> = T & { readonly token?: never };

const tasks = {
  chat: {
    postMessage: task((sdk: WebClient, message: Args<ChatPostMessageArguments>) =>
      sdk.chat.postMessage(message),
    ),
    postEphemeral: task((sdk: WebClient, message: Args<ChatPostEphemeralArguments>) =>
      sdk.chat.postEphemeral(message),
    ),
    update: task((sdk: WebClient, message: Args<ChatUpdateArguments>) => sdk.chat.update(message)),
  },
  conversations: {
    join: task((sdk: WebClient, params: Args<ConversationsJoinArguments>) =>
      sdk.conversations.join(params),
    ),
    open: task((sdk: WebClient, params: Args<ConversationsOpenArguments>) =>
      sdk.conversations.open(params),
    ),
  },
  reactions: {
    add: task((sdk: WebClient, params: Args<ReactionsAddArguments>) => sdk.reactions.add(params)),
  },
  users: {
    info: task((sdk: WebClient, params: Args<UsersInfoArguments>) => sdk.users.info(params)),
    lookupByEmail: task((sdk: WebClient, params: Args<UsersLookupByEmailArguments>) =>
      sdk.users.lookupByEmail(params),
    ),
  },
};

/** What `io.slack` is. */
export type Slack = IntegrationClient<WebClient, typeof tasks>;

/** What Slack says of itself, and not of the call. */
const transient = [
  "internal_error",
  "fatal_error",
  "service_unavailable",
  "request_timeout",
  "team_added_to_org",
  "ratelimited",
  "rate_limited",
];

const onError: OnError = (error, _task, _io, now) => {
  if (error instanceof WebAPIRateLimitedError)
    return retryAfterReset({ "retry-after": String(error.retryAfter) }, [], now);
  if (error instanceof WebAPIHTTPError)
    return isFinal(error.statusCode)
      ? { skipRetrying: true }
      : retryAfterReset(error.headers, [], now);
  if (error instanceof WebAPIPlatformError && !transient.includes(error.data.error))
    return { skipRetrying: true };
  return undefined;
};

/** Slack itself refuses with 200; these are from what stands before it, such as a proxy. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408;
}

/** As `io.backgroundFetch` has it. */
const defaultTimeout: Duration = "2m";

/** The SDK takes no signal with a call, so each attempt has one of its own. */
function clientFor(token: string | undefined, slackApiUrl?: string, task?: Task): WebClient {
  return new WebClient(token, {
    ...(slackApiUrl !== undefined && { slackApiUrl }),
    ...(task && { fetch: (url, init) => fetch(url, { ...init, signal: task.signal }) }),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
  });
}

/**
 * Slack's Web API, by the official `@slack/web-api`, as tasks. A rate limit parks the run until it
 * is over, errors of network and server are tried again, and what Slack refuses (`channel_not_found`,
 * `invalid_auth`) is not. A call that hangs is broken off after `timeout`, and by `cancelRun`. Slack
 * knows no idempotency key: after a crash between a call and its record the message is posted again,
 * unless the call has `mode: "at-most-once"`.
 *
 * @example
 * client.defineJob({
 *   id: "greet",
 *   trigger: invokeTrigger(),
 *   integrations: { slack: slack({ token: process.env.SLACK_BOT_TOKEN }) },
 *   run: (_payload, io) => io.slack.chat.postMessage("hello", { channel: "#general", text: "Hello" }),
 * });
 * @throws ConfigError OPTION_INVALID, for instance for a token from an environment variable that is
 * not set; OPTION_UNKNOWN
 */
export function slack(options: SlackOptions = {}): Integration<Slack> {
  assertOptions(options, ["token", "id", "slackApiUrl", "timeout"], "slack()");
  assertKeyOption(options, "token", "slack()");
  const { token, id = "slack", slackApiUrl, timeout = defaultTimeout } = options;
  assertUrlOption(slackApiUrl, "slackApiUrl", "slack()");
  return createIntegration({
    id,
    name: "Slack",
    icon: "slack",
    authSource: token === undefined ? "HOSTED" : "LOCAL",
    client: (auth: ConnectionAuth | undefined) =>
      clientFor(auth?.accessToken ?? token, slackApiUrl),
    forTask: (sdk, task) => clientFor(sdk.token, sdk.slackApiUrl, task),
    timeout,
    tasks,
    onError,
  });
}
