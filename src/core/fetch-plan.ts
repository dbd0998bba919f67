import { compileFetchRules } from "./compile-fetch-rules.js";
import { durationOfAtLeast } from "./duration.js";
import { ConfigError } from "./errors.js";
import type { FetchRules } from "./fetch-rules.js";
import type { BackgroundFetchOptions, FetchFunction, FetchInit } from "./http.js";
import { type HttpRequest, isHeaderName, readRequest } from "./http-request.js";
import { assertFunction, assertOptions, describe } from "./options.js";
import type { HeaderPair } from "./redaction.js";

const DEFAULT_TIMEOUT_MS = 120_000;
const optionNames = ["retry", "timeout", "redact", "idempotencyHeader", "fetch", "name"];
/** They change nothing, so they need no key. */
const safeMethods = new Set(["GET", "HEAD", "OPTIONS"]);

export type FetchKind = "backgroundFetch" | "backgroundFetchResponse";

/** A checked call of `backgroundFetch`. */
export interface FetchPlan {
  readonly kind: FetchKind;
  readonly request: HttpRequest;
  readonly rules: FetchRules;
  readonly timeoutMs: number;
  /** The header for the idempotency key, where the request needs one. */
  readonly idempotencyHeader: string | undefined;
  readonly name: string | undefined;
  /** Dotted paths of the output that readers do not get to see. */
  readonly hiddenPaths: readonly string[];
  readonly fetch: FetchFunction | undefined;
}

/** @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID, FILTER_INVALID */
export function planFetch(
  kind: FetchKind,
  url: string | URL,
  init: FetchInit | undefined,
  options: BackgroundFetchOptions,
): FetchPlan {
  const where = `io.${kind}`;
  assertOptions(options, optionNames, where);
  const { retry, timeout, redact, fetch, name } = options;
  if (fetch !== undefined) assertFunction(fetch, `fetch of ${where}`);
  const request = readRequest(url, init, redact, where);
  return {
    kind,
    request,
    rules: compileFetchRules(retry, timeout?.retry, where),
    timeoutMs: timeoutOf(timeout, where),
    idempotencyHeader: idempotencyHeaderOf(request, options.idempotencyHeader, where),
    name,
    hiddenPaths: [...secretPaths(kind), ...(redact?.paths ?? [])],
    fetch,
  };
}

/** A replay needs the cookie, a reader does not. */
function secretPaths(kind: FetchKind): readonly string[] {
  return kind === "backgroundFetch" ? [] : ["headers.set-cookie"];
}

function timeoutOf(timeout: BackgroundFetchOptions["timeout"], where: string): number {
  assertOptions(timeout, ["duration", "durationInMs", "retry"], `timeout of ${where}`);
  const { duration, durationInMs } = timeout ?? {};
  if (duration !== undefined && durationInMs !== undefined) {
    const problem = `timeout of ${where} has duration and durationInMs; pass one of them.`;
    throw new ConfigError("OPTION_INVALID", problem);
  }
  if (duration !== undefined) return durationOfAtLeast(1, duration, `timeout of ${where}`);
  if (durationInMs === undefined) return DEFAULT_TIMEOUT_MS;
  return durationOfAtLeast(1, { milliseconds: durationInMs }, `timeout of ${where}`);
}

function idempotencyHeaderOf(
  { method, headers }: HttpRequest,
  header: unknown = "idempotency-key",
  where: string,
): string | undefined {
  if (header !== false && !isHeaderName(header)) {
    const problem = `idempotencyHeader of ${where} is ${describe(header)}; pass the name of a header, or false.`;
    throw new ConfigError("OPTION_INVALID", problem);
  }
  if (header === false || safeMethods.has(method)) return undefined;
  const name = header.toLowerCase();
  return headers.some(([given]) => given === name) ? undefined : name;
}

/** Sent beside the request's own. */
export function idempotencyHeaders({ idempotencyHeader }: FetchPlan, key: string): HeaderPair[] {
  return idempotencyHeader === undefined ? [] : [[idempotencyHeader, key]];
}
