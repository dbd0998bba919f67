import { isSecretName } from "../core/redaction.js";

/** One request of a chain. */
export interface Hop {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array | undefined;
}

const redirects = new Set([301, 302, 303, 307, 308]);
const bodyHeaders = /^content-/;

/** Where an answer sends the client, if it does. @throws TypeError if that is no URL */
export function redirectTarget(hop: Hop, status: number, location: string | null): URL | undefined {
  if (!redirects.has(status) || location === null) return undefined;
  const url = new URL(location, hop.url);
  // What another server puts there is no credential of ours.
  url.username = "";
  url.password = "";
  return url;
}

/** The next request, without what another origin must not see, and as a GET where the standard says so. */
export function nextHop(hop: Hop, status: number, url: URL): Hop {
  const headers = new Headers(hop.headers);
  if (url.origin !== hop.url.origin) remove(headers, isSecretName);
  const isPost = hop.method === "POST" && (status === 301 || status === 302);
  const becomesGet = isPost || (status === 303 && hop.method !== "GET" && hop.method !== "HEAD");
  if (!becomesGet) return { ...hop, url, headers };
  remove(headers, (name) => bodyHeaders.test(name));
  return { url, method: "GET", headers, body: undefined };
}

function remove(headers: Headers, matches: (name: string) => boolean): void {
  for (const name of [...headers.keys()]) if (matches(name)) headers.delete(name);
}
