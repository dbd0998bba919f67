import type { IncomingMessage } from "node:http";
import { ConfigError, TaskError } from "../core/errors.js";
import { assertFunction, assertInteger, assertOptions, describe } from "../core/options.js";
import { AddressGuard, type AddressRules } from "./address-guard.js";
import { exchange, responseOf } from "./exchange.js";
import { type Hop, nextHop, redirectTarget } from "./redirect.js";

export type { ResolvedAddress } from "./address-guard.js";

export interface SafeFetchOptions extends AddressRules {
  /** Default 5. */
  readonly maxRedirects?: number;
}

type Redirect = "follow" | "manual" | "error";

/** Set by the connection, not by whoever asks. */
const connectionHeaders = [
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/**
 * A `fetch` for URLs that come from outside (webhooks, imports): http and https only, and only to
 * addresses of the public internet. What a name resolves to is checked in the lookup of the socket,
 * so a name server that changes its answer gains nothing. Redirects are followed by hand, each one
 * checked; cookies, authorization and other secret headers do not go to another origin. For Node and
 * what has its `http` module. It has no timeout of its own: pass a signal.
 *
 * @example
 * const client = createClient({ storage: sqlite("app.db"), fetch: safeFetch() });
 * // or for one request:
 * await io.backgroundFetch("notify", hook.url, { method: "POST", body }, { fetch: safeFetch() });
 * @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID. The function that it makes rejects with
 * TaskError FETCH_ADDRESS_REFUSED, FETCH_FAILED after too many redirects, and errors of the network.
 */
export function safeFetch(
  options: SafeFetchOptions = {},
): (url: string | URL, init?: RequestInit) => Promise<Response> {
  assertOptions(options, ["maxRedirects", "resolve", "allowAddress"], "safeFetch");
  const { maxRedirects = 5 } = options;
  assertInteger(maxRedirects, "maxRedirects of safeFetch", { min: 0 });
  for (const name of ["resolve", "allowAddress"] as const)
    if (options[name] !== undefined) assertFunction(options[name], `${name} of safeFetch`);
  const guard = new AddressGuard(options);
  return async (url, init = {}) => {
    const signal = init.signal ?? undefined;
    signal?.throwIfAborted();
    const redirect = redirectOf(init.redirect);
    let hop = await firstHop(url, init);
    for (let count = 0; ; count++) {
      const message = await exchange(hop, guard, signal);
      const next = orHungUp(message, () => answerOrRedirect(message, hop, redirect));
      if (next instanceof Response) return next;
      message.destroy();
      if (redirect === "error" || count >= maxRedirects) throw tooMany(hop.url, count);
      hop = next;
    }
  };
}

function answerOrRedirect(message: IncomingMessage, hop: Hop, redirect: Redirect): Response | Hop {
  const { statusCode = 0, headers } = message;
  const target =
    redirect === "manual" ? undefined : redirectTarget(hop, statusCode, headers.location ?? null);
  return target === undefined ? responseOf(message, hop) : nextHop(hop, statusCode, target);
}

/** What nobody gets to read would hold its connection for ever. */
function orHungUp<T>(message: IncomingMessage, read: () => T): T {
  try {
    return read();
  } catch (error) {
    message.destroy();
    throw error;
  }
}

/** `Request` reads bodies of all kinds, and knows their content types. */
async function firstHop(url: string | URL, init: RequestInit): Promise<Hop> {
  const { signal: _, ...rest } = init;
  const request = new Request(url, rest);
  const headers = new Headers(request.headers);
  for (const name of connectionHeaders) headers.delete(name);
  const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
  return { url: new URL(request.url), method: request.method, headers, body };
}

function redirectOf(redirect: unknown = "follow"): Redirect {
  if (redirect === "follow" || redirect === "manual" || redirect === "error") return redirect;
  throw new ConfigError(
    "OPTION_INVALID",
    `redirect of a request is ${describe(redirect)}; pass "follow", "manual" or "error".`,
  );
}

function tooMany({ origin }: URL, count: number): TaskError {
  return new TaskError(
    "FETCH_FAILED",
    `${origin} redirects once more after ${count} redirect(s), which are as many as are followed. Fetch the last address itself, or raise maxRedirects of safeFetch.`,
  );
}
