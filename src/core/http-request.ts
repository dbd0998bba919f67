import { ConfigError } from "./errors.js";
import type { FetchBody, FetchInit } from "./http.js";
import { assertOptions, describe } from "./options.js";
import { type HeaderPair, percentDecoded, Redaction, type RedactOptions } from "./redaction.js";

/** A checked request. Only `shown` and what passed `redaction` may leave the process or be stored. */
export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly HeaderPair[];
  readonly body: FetchBody | undefined;
  readonly redaction: Redaction;
  readonly shown: {
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
  };
}

const token = /^[\w!#$%&'*+.^`|~-]+$/;
/** What a header may hold: no control characters, nothing beyond one byte. */
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const refusedMethods = new Set(["CONNECT", "TRACE", "TRACK"]);
const bodyTags = new Set([
  "ArrayBuffer",
  "Uint8Array",
  "URLSearchParams",
  "FormData",
  "Blob",
  "File",
]);

/** Reads what the code wants to send, before anything is sent. @throws ConfigError OPTION_INVALID, OPTION_UNKNOWN */
export function readRequest(
  url: string | URL,
  init: FetchInit | undefined,
  redact: RedactOptions | undefined,
  where: string,
): HttpRequest {
  assertOptions(init, ["method", "headers", "body"], `the request of ${where}`);
  const target = readUrl(url, where);
  const method = readMethod(init?.method, where);
  const pairs = readHeaders(init?.headers, where);
  const headers = [...credentialsOf(target, pairs), ...pairs];
  const redaction = new Redaction(redact, { url: target, headers }, where);
  const body = readBody(init?.body, method, where);
  const shown = { method, url: redaction.url, headers: redaction.headers };
  return { method, url: hrefOf(target), headers, body, redaction, shown };
}

function readUrl(url: unknown, where: string): URL {
  const isUrl = typeof url === "string" || url instanceof URL;
  const parsed = isUrl && URL.canParse(String(url)) ? new URL(String(url)) : undefined;
  if (parsed?.protocol === "http:" || parsed?.protocol === "https:") return parsed;
  // Not shown as it is: a URL may hold secrets, also one with a mistake.
  const got = parsed === undefined ? describeUrl(url) : `one of ${parsed.protocol}`;
  throw invalid(`${where} needs an absolute http or https URL, got ${got}`);
}

function describeUrl(url: unknown): string {
  if (typeof url !== "string") return describe(url);
  return describe(url.replace(/[?#].*$/s, "").replace(/^.*@/s, ""));
}

function readMethod(method: unknown = "GET", where: string): string {
  const upper = typeof method === "string" ? method.toUpperCase() : "";
  if (token.test(upper) && !refusedMethods.has(upper)) return upper;
  throw invalid(`method of ${where} is ${describe(method)}; pass GET, POST or the like`);
}

export function isHeaderName(name: unknown): name is string {
  return typeof name === "string" && token.test(name);
}

function readHeaders(headers: FetchInit["headers"], where: string): HeaderPair[] {
  if (headers === undefined) return [];
  if (typeof headers !== "object" || headers === null)
    throw invalid(`headers of ${where} must be an object, got a ${typeof headers}`);
  const pairs: unknown[] = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
  return pairs.map((pair) => readHeader(pair, where));
}

function readHeader(pair: unknown, where: string): HeaderPair {
  const [name, value]: unknown[] = Array.isArray(pair) ? pair : [];
  if (!isHeaderName(name))
    throw invalid(`headers of ${where} have the name ${describe(name)}, which no header can have`);
  if (typeof value !== "string" || !headerValue.test(value.trim())) {
    const problem = typeof value === "string" ? "a line break or another character" : typeof value;
    throw invalid(
      `header "${name}" of ${where} holds ${problem} that cannot be sent; pass a plain string`,
    );
  }
  return [name.toLowerCase(), value.trim()];
}

/** `fetch` refuses a URL with a user and a password; everybody else sends them as this header. */
function credentialsOf(url: URL, headers: readonly HeaderPair[]): HeaderPair[] {
  const isGiven = headers.some(([name]) => name === "authorization");
  if (isGiven || (url.username === "" && url.password === "")) return [];
  const text = `${percentDecoded(url.username)}:${percentDecoded(url.password)}`;
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return [["authorization", `Basic ${btoa(bytes)}`]];
}

function hrefOf(url: URL): string {
  const plain = new URL(url);
  plain.username = "";
  plain.password = "";
  plain.hash = "";
  return plain.href;
}

function readBody(body: unknown, method: string, where: string): FetchBody | undefined {
  if (body === undefined || body === null) return undefined;
  if (method === "GET" || method === "HEAD")
    throw invalid(`${where} has a body, which ${method} cannot carry; pass method: "POST"`);
  const tag = Object.prototype.toString.call(body).slice(8, -1);
  if (typeof body === "string" || bodyTags.has(tag)) return body as FetchBody;
  throw invalid(
    `body of ${where} is ${describe(body)}, which cannot be sent, or not twice; pass a string (JSON.stringify of an object), bytes, URLSearchParams, FormData or a Blob`,
  );
}

function invalid(problem: string): ConfigError {
  return new ConfigError("OPTION_INVALID", `${problem}.`);
}
