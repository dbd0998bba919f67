import { type Duration, durationMs, durationOfAtLeast } from "./duration.js";
import type { Answer } from "./fetch-rules.js";
import type { BackgroundPollOptions, FetchFunction } from "./http.js";
import { type HttpRequest, readRequest } from "./http-request.js";
import { assertFunction, assertOptions } from "./options.js";
import { compileResponseFilter } from "./response-filter.js";

const WHERE = "io.backgroundPoll";
const SHORTEST_INTERVAL_MS = 100;
const optionNames = [
  "url",
  "requestInit",
  "responseFilter",
  "interval",
  "timeout",
  "requestTimeout",
  "redact",
  "fetch",
  "name",
];

/** A checked call of `backgroundPoll`. */
export interface PollPlan {
  readonly request: HttpRequest;
  readonly fits: (answer: Answer) => boolean;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly name: string | undefined;
  /** Dotted paths of the output that readers do not get to see. */
  readonly hiddenPaths: readonly string[] | undefined;
  readonly fetch: FetchFunction | undefined;
}

/** @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID, FILTER_INVALID */
export function planPoll(options: BackgroundPollOptions): PollPlan {
  assertOptions(options ?? null, optionNames, WHERE);
  const { url, requestInit, redact, responseFilter, fetch } = options;
  if (fetch !== undefined) assertFunction(fetch, `fetch of ${WHERE}`);
  const atLeast = (minMs: number, name: "interval" | "requestTimeout", otherwise: Duration) =>
    durationOfAtLeast(minMs, options[name] ?? otherwise, `${name} of ${WHERE}`);
  return {
    request: readRequest(url, requestInit, redact, WHERE),
    fits: compileResponseFilter(responseFilter, WHERE),
    intervalMs: atLeast(SHORTEST_INTERVAL_MS, "interval", "10s"),
    timeoutMs: durationMs(options.timeout ?? "10m", `timeout of ${WHERE}`),
    requestTimeoutMs: atLeast(1, "requestTimeout", "10s"),
    name: options.name,
    hiddenPaths: redact?.paths,
    fetch,
  };
}
