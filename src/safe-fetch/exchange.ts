import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { pipeline, Readable, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { TaskError } from "../core/errors.js";
import { type AddressGuard, hostOf } from "./address-guard.js";
import type { Hop } from "./redirect.js";

/** The answers that have no body, whatever they say. */
const bodiless = new Set([204, 205, 304]);

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** Sends one request over a connection of its own, to an address that the guard has passed. */
export function exchange(
  hop: Hop,
  guard: AddressGuard,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  guard.check(hop.url);
  const { url, method, body } = hop;
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send({
      protocol: url.protocol,
      hostname: hostOf(url),
      port: url.port,
      path: url.pathname + url.search,
      method,
      headers: headersOf(hop),
      lookup: guard.lookup,
      // A pooled connection may lead to where another request was allowed to go.
      agent: false,
      ...(signal === undefined ? undefined : { signal }),
    });
    request.on("response", resolve).on("error", reject);
    // Node tells only whoever listens, and closes the connection without a word else.
    request.on("upgrade", (message, socket) => {
      socket.destroy();
      reject(noAnswer(url, message.statusCode));
    });
    request.end(body);
  });
}

function headersOf({ headers, body, method }: Hop): Record<string, string> {
  const sent: Record<string, string> = {
    accept: "*/*",
    "user-agent": "pawl",
    // So that a small answer is not a large one in truth; some servers compress all the same.
    "accept-encoding": "identity",
    ...Object.fromEntries(headers),
  };
  if (body !== undefined) sent["content-length"] = String(body.length);
  else if (method === "POST" || method === "PUT") sent["content-length"] = "0";
  return sent;
}

/** As `fetch` would give it. */
export function responseOf(message: IncomingMessage, { url, method }: Hop): Response {
  const status = message.statusCode ?? 0;
  if (status < 200 || status > 599) throw noAnswer(url, status);
  const headers = new Headers();
  for (const [name, values] of Object.entries(message.headersDistinct))
    for (const value of values ?? []) headers.append(name, value);
  const hasBody = method !== "HEAD" && !bodiless.has(status);
  if (!hasBody) message.resume();
  const body = hasBody ? (Readable.toWeb(decoded(message)) as ReadableStream) : null;
  const response = new Response(body, {
    status,
    headers,
    statusText: message.statusMessage ?? "",
  });
  Object.defineProperty(response, "url", { value: url.href });
  return response;
}

function decoded(message: IncomingMessage): Readable {
  const encoding = message.headers["content-encoding"]?.trim().toLowerCase() ?? "";
  // Nothing at all is no gzip, yet some servers call it so.
  const isEmpty = message.headers["content-length"] === "0";
  const make = !isEmpty && Object.hasOwn(decoders, encoding) ? decoders[encoding] : undefined;
  // Errors on the way reach the reader of the last stream.
  return make === undefined ? message : pipeline(message, make(), () => {});
}

function noAnswer({ origin }: URL, status = 0): TaskError {
  return new TaskError(
    "FETCH_FAILED",
    `${origin} answered with status ${status}, which ends no request. Look at what listens there.`,
  );
}
