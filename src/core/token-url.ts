import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { ConfigError } from "./errors.js";
import { describe } from "./options.js";

/** Fewer could be guessed (Standard Webhooks asks for as many). */
const LEAST_SECRET_BYTES = 24;
const VERSION = "v1";

/** How URLs of tokens are made and recognised. */
export interface TokenUrls {
  /** Where they lead, without a slash at the end. */
  readonly publicUrl: string;
  /** The first one signs; all are accepted, so a secret can be replaced while URLs are open. */
  readonly secrets: readonly string[];
}

/** @throws ConfigError OPTION_INVALID */
export function checkedTokenUrls(
  publicUrl: unknown,
  secrets: unknown,
  where: string,
): TokenUrls | undefined {
  if (publicUrl === undefined && secrets === undefined) return undefined;
  if (publicUrl === undefined || secrets === undefined) {
    throw invalid(
      `${where} has ${publicUrl === undefined ? "secrets without publicUrl" : "publicUrl without secrets"}. URLs of tokens need both.`,
    );
  }
  return { publicUrl: checkedUrl(publicUrl, where), secrets: checkedSecrets(secrets, where) };
}

function checkedUrl(given: unknown, where: string): string {
  const url = typeof given === "string" ? parsedUrl(given) : undefined;
  const isPlain =
    url !== undefined && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "";
  if (!isPlain) {
    throw invalid(
      `publicUrl of ${where} is ${describe(given)}; pass an absolute http or https URL without a query, such as "https://shop.example/pawl".`,
    );
  }
  return url.href.replace(/\/$/, "");
}

/** A secret is never shown, not even a wrong one. */
function checkedSecrets(given: unknown, where: string): readonly string[] {
  const isList = Array.isArray(given) && given.length > 0;
  const isLong = (secret: unknown) =>
    typeof secret === "string" && utf8ToBytes(secret).length >= LEAST_SECRET_BYTES;
  if (isList && given.every(isLong)) return [...given];
  throw invalid(
    `secrets of ${where} must be a list of texts of at least ${LEAST_SECRET_BYTES} random bytes each. Make one with: openssl rand -base64 32`,
  );
}

function invalid(text: string): ConfigError {
  return new ConfigError("OPTION_INVALID", text);
}

function parsedUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** Whoever has it can complete the token, and nothing else. */
export function urlOfToken(id: string, { publicUrl, secrets }: TokenUrls): string {
  const [secret = ""] = secrets;
  const signature = bytesToHex(signatureOf(id, secret));
  return `${publicUrl}/tokens/${encodeURIComponent(id)}?signature=${VERSION}.${signature}`;
}

/**
 * The id of the token that a URL is for; undefined if it was not made with one
 * of the secrets. Host and path before `/tokens/` are not looked at: a proxy may
 * have changed them.
 */
export function tokenOfUrl(url: URL, { secrets }: TokenUrls): string | undefined {
  const [, encoded = ""] = /\/tokens\/([^/]+)$/.exec(url.pathname) ?? [];
  const id = decoded(encoded);
  const given = url.searchParams.getAll("signature").flatMap(bytesOf);
  const isSigned = secrets.some((secret) => {
    const expected = signatureOf(id, secret);
    return given.some((bytes) => isEqual(bytes, expected));
  });
  return isSigned ? id : undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** Of a signature of our version; others are passed over. */
function bytesOf(signature: string): Uint8Array[] {
  const [, hex] = /^v1\.([0-9a-f]{64})$/.exec(signature) ?? [];
  return hex === undefined ? [] : [hexToBytes(hex)];
}

function signatureOf(id: string, secret: string): Uint8Array {
  return hmac(sha256, utf8ToBytes(secret), utf8ToBytes(`pawl token ${VERSION} ${id}`));
}

/** Takes as long wherever they differ. Both have the length of a signature. */
function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0;
  for (const [index, byte] of a.entries()) difference |= byte ^ Number(b[index]);
  return difference === 0;
}
