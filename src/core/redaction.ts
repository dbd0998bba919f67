import { ConfigError } from "./errors.js";
import { cleanText } from "./key.js";
import { assertOptions, describe } from "./options.js";

/** What of a request and its answer nobody gets to see, beside passwords and names that are secrets as a rule. */
export interface RedactOptions {
  /** Names of further request headers whose values are hidden. */
  readonly headers?: readonly string[];
  /** Names of further query parameters whose values are hidden. */
  readonly query?: readonly string[];
  /** Texts that are hidden wherever they stand: the path of a webhook's URL, an answer that repeats a token. */
  readonly values?: readonly string[];
  /** Dotted paths of the output that readers do not get to see. What is stored stays whole. */
  readonly paths?: readonly string[];
}

export type HeaderPair = readonly [name: string, value: string];

const REDACTED = "[redacted]";
const secretName =
  /auth(?!or(?!i[sz]))|token|secret|pass|pwd|key(?!word)|cookie|credential|signature|hmac|assertion|sess(?:ion|id)|[cx]srf|jwt|^(?:sig|code|otp)$/i;
/** Shorter texts stand in too many places by chance. Those that the user names are hidden however short. */
const shortestSecret = 6;
const deepest = 8;

/** True for names of headers and query parameters whose values are secrets as a rule. */
export function isSecretName(name: string): boolean {
  return secretName.test(name) && name.toLowerCase() !== "idempotency-key";
}

/** Hides the secrets of one request in everything of it that is shown, stored for display, or thrown. */
export class Redaction {
  readonly #headerNames: ReadonlySet<string>;
  readonly #queryNames: ReadonlySet<string>;
  /** Longest first: one may be a part of another. */
  readonly #secrets: readonly string[];
  readonly #url: URL;
  readonly #headers: readonly HeaderPair[];

  /** @throws ConfigError OPTION_UNKNOWN, OPTION_INVALID */
  constructor(
    options: RedactOptions | undefined,
    request: { readonly url: URL; readonly headers: readonly HeaderPair[] },
    where: string,
  ) {
    checkRedact(options, where);
    this.#headerNames = new Set(options?.headers?.map((name) => name.toLowerCase()));
    this.#queryNames = new Set(options?.query?.map((name) => name.toLowerCase()));
    this.#url = request.url;
    this.#headers = request.headers;
    const found = [...this.#secretsOfUrl(), ...this.#secretsOfHeaders()];
    this.#secrets = formsOf([
      ...(options?.values ?? []),
      ...found.filter((secret) => secret.length >= shortestSecret),
    ]);
  }

  /** Without credentials, fragment and secret parameters. */
  get url(): string {
    const shown = new URL(this.#url);
    shown.username = "";
    shown.password = "";
    shown.hash = "";
    for (const name of new Set(shown.searchParams.keys()))
      if (this.#hidesQuery(name)) shown.searchParams.set(name, REDACTED);
    return this.text(shown.href.replaceAll(encodeURIComponent(REDACTED), REDACTED));
  }

  get headers(): Record<string, string> {
    return Object.fromEntries(
      this.#headers.map(([name, value]) => [
        name,
        this.#hidesHeader(name) ? REDACTED : this.text(value),
      ]),
    );
  }

  text(text: string): string {
    return this.#secrets.reduce((clean, secret) => clean.replaceAll(secret, REDACTED), text);
  }

  /** A copy of JSON data. What lies too deep for an error to keep is left out. */
  data(value: unknown, depth = 0): unknown {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "number") return this.#number(value);
    if (typeof value !== "object" || value === null) return value;
    if (depth === deepest) return undefined;
    if (Array.isArray(value)) return value.map((item) => this.data(item, depth + 1));
    if (Object.getPrototypeOf(value) !== Object.prototype) return describe(value);
    const entries = Object.entries(value);
    return Object.fromEntries(
      entries.map(([name, item]) => [this.text(name), this.data(item, depth + 1)]),
    );
  }

  #number(value: number): unknown {
    const text = String(value);
    return this.text(text) === text ? value : REDACTED;
  }

  #hidesHeader(name: string): boolean {
    return isSecretName(name) || this.#headerNames.has(name.toLowerCase());
  }

  #hidesQuery(name: string): boolean {
    return isSecretName(name) || this.#queryNames.has(name.toLowerCase());
  }

  /** As they are sent and as they are meant: a `+` that is sent means a space to some, to others itself. */
  #secretsOfUrl(): string[] {
    const { username, password, search } = this.#url;
    const sent = [username, password];
    const meant: string[] = [];
    for (const pair of search.slice(1).split("&")) {
      for (const [name, value] of new URLSearchParams(pair)) {
        if (!this.#hidesQuery(name)) continue;
        sent.push(pair.slice(pair.indexOf("=") + 1));
        meant.push(value);
      }
    }
    return [...sent, ...sent.map(percentDecoded), ...meant];
  }

  /** Also the token of "Bearer …", what "Basic …" encodes, and the values of a cookie's pairs: an answer may repeat these alone. */
  #secretsOfHeaders(): string[] {
    const hidden = this.#headers.filter(([name]) => this.#hidesHeader(name));
    return hidden.flatMap(([, value]) => {
      const parts = value.split(/[\s;,]+/);
      const values = parts.map((part) => part.slice(part.indexOf("=") + 1));
      return [value, ...parts, ...values, ...values.map(unquoted), ...basicCredentials(value)];
    });
  }
}

function unquoted(text: string): string {
  return text.replace(/^"(.*)"$/, "$1");
}

/** User and password. */
function basicCredentials(value: string): string[] {
  const encoded = /^basic +(\S+)$/i.exec(value)?.[1];
  if (encoded === undefined) return [];
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    const text = new TextDecoder().decode(bytes);
    const colon = text.indexOf(":");
    return [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  } catch {
    return [];
  }
}

/** A text that is not well percent-encoded stays as it is. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** As texts, URLs, forms and JSON have them, also JSON of those that escape the slash. */
function formsOf(secrets: readonly string[]): string[] {
  const forms = secrets.map(cleanText).flatMap((secret) => {
    const json = JSON.stringify(secret).slice(1, -1);
    const inForm = String(new URLSearchParams([["", secret]])).slice(1);
    return [secret, encodeURIComponent(secret), inForm, json, json.replaceAll("/", "\\/")];
  });
  return [...new Set(forms)].sort((a, b) => b.length - a.length);
}

function checkRedact(options: RedactOptions | undefined, where: string): void {
  assertOptions(options, ["headers", "query", "values", "paths"], `redact of ${where}`);
  for (const [name, texts] of Object.entries<unknown>({ ...options })) {
    const isList = Array.isArray(texts) && texts.every((text) => typeof text === "string" && text);
    if (texts === undefined || isList) continue;
    // Not shown itself: it may be the secret.
    throw new ConfigError(
      "OPTION_INVALID",
      `redact.${name} of ${where} must be an array of non-empty strings, got ${typeof texts === "object" ? describe(texts) : `a ${typeof texts}`}.`,
    );
  }
}
