import type { Duration } from "./duration.js";
import type { FetchRetry } from "./fetch-rules.js";
import type { EventFilter, FilterMatcher } from "./filter-types.js";
import type { RedactOptions } from "./redaction.js";
import type { RetryOptions } from "./retry.js";

/** What can be sent again: a stream cannot. */
export type FetchBody = string | ArrayBuffer | Uint8Array | URLSearchParams | FormData | Blob;

export interface FetchInit {
  /** Default: GET. */
  readonly method?: string;
  readonly headers?:
    | Headers
    | Readonly<Record<string, string>>
    | readonly (readonly [string, string])[];
  readonly body?: FetchBody;
}

/** How requests are sent: `globalThis.fetch`, or anything that answers as it does. */
export type FetchFunction = (
  url: string,
  init: RequestInit & { readonly headers: Headers; readonly signal: AbortSignal },
) => Promise<Response>;

export interface BackgroundFetchOptions {
  /**
   * What is tried again, by the status of the answer: the first pattern that matches, in the order
   * of the object, in which whole numbers such as `429` come before everything else. Patterns are
   * `"429"`, `"500-599"`, `"4xx"`, `"50x"`, several with commas between, `"network"` for a try that
   * got no answer, and `"all"` for that and every status but 2xx. Default: one try.
   */
  readonly retry?: FetchRetry;
  /** Bounds one try, its body included. Default 120 s; without `retry` a timeout counts as `"network"`. */
  readonly timeout?: {
    readonly duration?: Duration;
    readonly durationInMs?: number;
    readonly retry?: RetryOptions;
  };
  readonly redact?: RedactOptions;
  /**
   * The header that carries `task.idempotencyKey`, the same in all tries, where the method is not
   * GET, HEAD or OPTIONS and the request does not set it. Default "idempotency-key"; `false`: none.
   */
  readonly idempotencyHeader?: string | false;
  /** Sends this request. Default: `fetch` of the client. */
  readonly fetch?: FetchFunction;
  readonly name?: string;
}

/** What `backgroundFetchResponse` gives. */
export interface BackgroundResponse<T = unknown> {
  readonly status: number;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed JSON, text, or bytes, by the content type; `undefined` for an empty answer. */
  readonly data: T;
}

/** What an answer must be to end a poll; all that is given must hold. */
export interface ResponseFilter {
  /** Statuses, or operators on the status. Without it any success (2xx). */
  readonly status?: FilterMatcher;
  /** By name, in any case. */
  readonly headers?: Readonly<Record<string, FilterMatcher>>;
  /** On the parsed JSON body; a body that is no JSON does not meet it. */
  readonly body?: EventFilter;
}

export interface BackgroundPollOptions {
  readonly url: string | URL;
  readonly requestInit?: FetchInit;
  readonly responseFilter: ResponseFilter;
  /** From one poll to the next, at least 0.1 s. Default 10 s. An answer with a later `Retry-After` puts it off. */
  readonly interval?: Duration;
  /** From the first encounter; there is a last poll at its end. Default 600 s. */
  readonly timeout?: Duration;
  /** Bounds one poll. Default 10 s. */
  readonly requestTimeout?: Duration;
  readonly redact?: RedactOptions;
  /** Sends the polls. Default: `fetch` of the client. */
  readonly fetch?: FetchFunction;
  readonly name?: string;
}
