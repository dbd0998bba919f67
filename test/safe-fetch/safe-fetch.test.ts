import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import {
  type AddressInfo,
  createServer,
  getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily,
} from "node:net";
import { networkInterfaces } from "node:os";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { createClient, type FetchFunction, invokeTrigger } from "pawl";
import { memory } from "pawl/memory";
import { type ResolvedAddress, safeFetch } from "pawl/safe-fetch";
import { describe, expect, test } from "vitest";
import { gate } from "../engine/drive.js";
import { servers } from "../engine/scripted-server.js";
import { codeOf, thrownCode } from "../engine/support.js";

const here: ResolvedAddress = { address: "127.0.0.1", family: 4 };
const inside: ResolvedAddress = { address: "10.0.0.1", family: 4 };

/** Names ending in `.good` are on this machine and may be fetched; all others are on it and may not. */
function guarded(names: Record<string, readonly ResolvedAddress[]> = {}) {
  const asked: string[] = [];
  const fetch = safeFetch({
    resolve: async (hostname) => {
      asked.push(hostname);
      return names[hostname] ?? [here];
    },
    allowAddress: (address, hostname) => address === here.address && hostname.endsWith(".good"),
  });
  return { fetch, asked };
}

describe("safeFetch", () => {
  const serve = servers();

  test("S17: gives what fetch gives", async () => {
    const headers = { "x-a": "1", "set-cookie": ["a=1", "b=2"] };
    const server = await serve({ status: 201, headers, body: { n: 1 } });
    const { fetch } = guarded();
    const response = await fetch(`http://site.good:${server.port}/path?q=1`, {
      method: "POST",
      body: new URLSearchParams({ a: "b c" }),
    });
    expect(response.status).toBe(201);
    expect(response.headers.get("x-a")).toBe("1");
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(response.url).toBe(`http://site.good:${server.port}/path?q=1`);
    expect(await response.json()).toEqual({ n: 1 });
    expect(server.received[0]).toMatchObject({
      method: "POST",
      path: "/path?q=1",
      body: "a=b+c",
      headers: {
        host: `site.good:${server.port}`,
        "content-type": "application/x-www-form-urlencoded;charset=UTF-8",
      },
    });
  });

  test.each([
    "127.0.0.1",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "0177.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "localhost",
    "0.0.0.0",
  ])("S17: sends nothing to this machine, written %s", async (host) => {
    const server = await serve();
    const response = safeFetch()(`http://${host}:${server.port}/`);
    expect(await codeOf(response)).toBe("FETCH_ADDRESS_REFUSED");
    expect(server.received).toHaveLength(0);
  });

  test("S17: sends nothing to a name that resolves to an address inside", async () => {
    const server = await serve();
    const { fetch } = guarded();
    await expect(fetch(`http://site.bad:${server.port}/`)).rejects.toThrow(
      /"site.bad" has the address 127.0.0.1, which is not public/,
    );
    expect(server.received).toHaveLength(0);
  });

  test("S17: one address inside among several refuses the name", async () => {
    const server = await serve();
    const { fetch } = guarded({ "mixed.good": [here, inside], "none.good": [] });
    expect(await codeOf(fetch(`http://mixed.good:${server.port}/`))).toBe("FETCH_ADDRESS_REFUSED");
    expect(await codeOf(fetch(`http://none.good:${server.port}/`))).toBe("FETCH_ADDRESS_REFUSED");
    expect(server.received).toHaveLength(0);
  });

  test("S17: a name server that changes its answer gains nothing: what was checked is connected to", async () => {
    const server = await serve({ body: "ok" });
    const answers = [[here], [inside]];
    let asked = 0;
    const fetch = safeFetch({
      resolve: async () => answers[asked++] ?? [inside],
      allowAddress: (address) => address === here.address,
    });
    const url = `http://rebinding.example:${server.port}/`;
    expect(await (await fetch(url)).text()).toBe("ok");
    expect(asked).toBe(1);
    // No connection is kept for the next request, which is checked anew.
    expect(await codeOf(fetch(url))).toBe("FETCH_ADDRESS_REFUSED");
    expect(server.received).toHaveLength(1);
  });

  test("S17: the name is looked up for https as well, and its certificate is asked for", async () => {
    const server = await serve();
    const { fetch } = guarded();
    expect(await codeOf(fetch(`https://site.bad:${server.port}/`))).toBe("FETCH_ADDRESS_REFUSED");
    expect(await codeOf(fetch(`https://site.good:${server.port}/`))).toMatch(/EPROTO|SSL|TLS/);
    expect(server.received).toHaveLength(0);
  });

  test("S17: only http and https are fetched", async () => {
    expect(await codeOf(safeFetch()("ftp://site.good/"))).toBe("FETCH_ADDRESS_REFUSED");
    expect(await codeOf(safeFetch()("data:text/plain,a"))).toBe("FETCH_ADDRESS_REFUSED");
  });

  test("a signal ends the request, also while its body is read", async () => {
    const server = await serve((_, response) => {
      response.writeHead(200);
      response.write("begin");
      return undefined;
    });
    const { fetch } = guarded();
    const controller = new AbortController();
    const response = await fetch(`http://site.good:${server.port}/`, {
      signal: controller.signal,
    });
    const body = response.text();
    controller.abort();
    await expect(body).rejects.toThrow();
    await expect(
      fetch(`http://site.good:${server.port}/`, { signal: controller.signal }),
    ).rejects.toThrow();
    expect(server.received).toHaveLength(1);
  });

  test("compressed answers are decoded, also though none were asked for", async () => {
    const server = await serve(
      { headers: { "content-encoding": "gzip" }, body: gzipSync("zipped") },
      { headers: { "content-encoding": "br" }, body: brotliCompressSync("brotli") },
      { headers: { "content-encoding": "gzip" }, body: "no gzip" },
    );
    const { fetch } = guarded();
    const url = `http://site.good:${server.port}/`;
    expect(await (await fetch(url)).text()).toBe("zipped");
    expect(await (await fetch(url)).text()).toBe("brotli");
    await expect((await fetch(url)).text()).rejects.toThrow();
    expect(server.received[0]?.headers["accept-encoding"]).toBe("identity");
  });

  test("answers without a body have none", async () => {
    const server = await serve({ status: 204 }, { body: "text" });
    const { fetch } = guarded();
    const url = `http://site.good:${server.port}/`;
    expect((await fetch(url)).body).toBeNull();
    expect((await fetch(url, { method: "HEAD" })).body).toBeNull();
    const posted = await fetch(url, { method: "POST" });
    expect(await posted.text()).toBe("text");
    expect(server.received.at(-1)?.headers["content-length"]).toBe("0");
  });

  test("S17: holds where sockets ask for one address only", async () => {
    const server = await serve({ body: "ok" });
    const { fetch } = guarded();
    const before = getDefaultAutoSelectFamily();
    setDefaultAutoSelectFamily(false);
    try {
      expect((await fetch(`http://site.good:${server.port}/`)).status).toBe(200);
      const refused = fetch(`http://site.bad:${server.port}/`);
      expect(await codeOf(refused)).toBe("FETCH_ADDRESS_REFUSED");
    } finally {
      setDefaultAutoSelectFamily(before);
    }
    expect(server.received).toHaveLength(1);
  });

  const hasIpv6 = Object.values(networkInterfaces())
    .flat()
    .some((at) => at?.address === "::1");
  test.skipIf(!hasIpv6)("an address of IPv6 in the URL is checked and connected to", async () => {
    const server = createHttpServer((_, response) => response.end("six")).listen(0, "::1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const fetch = safeFetch({ allowAddress: (address) => address === "::1" });
    expect(await (await fetch(`http://[::1]:${port}/`)).text()).toBe("six");
    server.closeAllConnections();
    server.close();
  });

  /** What becomes of these bytes as an answer, after which the server does not hang up. */
  async function answeredWith(...lines: string[]): Promise<unknown> {
    const raw = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.write(`${lines.join("\r\n")}\r\n`));
      socket.once("close", hungUp.open);
    }).listen(0, "127.0.0.1");
    const hungUp = gate();
    await once(raw, "listening");
    const { port } = raw.address() as AddressInfo;
    const outcome = await guarded()
      .fetch(`http://site.good:${port}/`)
      .then(
        ({ status }) => status,
        (error: Error) => error,
      );
    await hungUp.opened;
    raw.close();
    return outcome;
  }

  test.each([
    ["what is no HTTP", ["hello"], /Parse Error/],
    [
      "a switch to another protocol",
      ["HTTP/1.1 101 Switching Protocols", "upgrade: x", "connection: upgrade", ""],
      /answered with status 101, which ends no request/,
    ],
    [
      "a status that there is not",
      ["HTTP/1.1 999 Odd", "content-length: 9", ""],
      /answered with status 999/,
    ],
    [
      "a redirect to nowhere",
      ["HTTP/1.1 302 Found", "location: http://[", "content-length: 9", ""],
      /Invalid URL/,
    ],
    [
      "a status text with a control character",
      ["HTTP/1.1 200 \u0001", "content-length: 9", ""],
      /statusText/,
    ],
  ])("%s is an error, and the connection is closed", async (_, lines, message) => {
    expect(await answeredWith(...lines)).toMatchObject({ message: expect.stringMatching(message) });
  });

  test("an answer that breaks off is an error", async () => {
    const half = gzipSync("x".repeat(1_000)).subarray(0, 20);
    const server = await serve(
      (_, response) => {
        response.writeHead(200, { "content-length": "9" });
        response.write("half", () => response.destroy());
        return undefined;
      },
      { headers: { "content-encoding": "gzip" }, body: half },
      { headers: { "content-encoding": "gzip", "content-length": "0" } },
    );
    const { fetch } = guarded();
    const url = `http://site.good:${server.port}/`;
    await expect((await fetch(url)).text()).rejects.toThrow(/aborted/);
    await expect((await fetch(url)).text()).rejects.toThrow(/unexpected end of file/);
    expect(await (await fetch(url)).text()).toBe("");
  });

  test("S17: a small answer that unpacks to a huge one is unpacked as far as it is read", async () => {
    const closed = gate();
    const server = await serve((_, response) => {
      response.on("close", closed.open);
      response.writeHead(200, { "content-encoding": "gzip", "content-type": "text/plain" });
      response.write(gzipSync(Buffer.alloc(100_000_000)));
      return undefined;
    });
    const client = createClient({
      storage: memory(),
      fetch: guarded().fetch,
      caps: { taskOutputBytes: 10_000 },
    });
    const job = client.defineJob({
      id: "job",
      trigger: invokeTrigger(),
      run: (_, io) => io.backgroundFetch("fetch", `http://site.good:${server.port}/`),
    });
    client.on("runFailed", () => {});
    const { id } = await client.invoke(job, {});
    await client.drain();
    await closed.opened;
    expect((await client.getRun(id))?.error).toMatchObject({ code: "VALUE_TOO_LARGE" });
    await client.stop();
  });

  test("refuses options that it does not know", () => {
    expect(thrownCode(() => safeFetch({ redirects: 3 } as object))).toBe("OPTION_UNKNOWN");
    expect(thrownCode(() => safeFetch({ maxRedirects: -1 }))).toBe("OPTION_INVALID");
    expect(thrownCode(() => safeFetch({ resolve: 1 } as object))).toBe("OPTION_INVALID");
  });
});

describe("redirects of safeFetch", () => {
  const serve = servers();
  const secrets = { authorization: "Bearer a", cookie: "b=c", "x-api-key": "d", "x-plain": "e" };

  test("S17: are checked as the first address is", async () => {
    const target = await serve();
    for (const location of [
      `http://127.0.0.1:${target.port}/`,
      `http://site.bad:${target.port}/`,
      "file:///etc/passwd",
    ]) {
      const server = await serve({ status: 302, headers: { location } });
      const { fetch } = guarded();
      expect(await codeOf(fetch(`http://site.good:${server.port}/`))).toBe("FETCH_ADDRESS_REFUSED");
    }
    expect(target.received).toHaveLength(0);
  });

  test("S17: drop cookies, authorization and other secrets at another origin, a port included", async () => {
    const target = await serve({ body: "ok" });
    const location = `http://user:pass@site.good:${target.port}/end`;
    const server = await serve({ status: 302, headers: { location } });
    const { fetch } = guarded();
    await fetch(`http://site.good:${server.port}/`, { headers: secrets });
    expect(server.received[0]?.headers).toMatchObject(secrets);
    expect(target.received[0]?.path).toBe("/end");
    const { headers = {} } = target.received[0] ?? {};
    expect(headers).toMatchObject({ "x-plain": "e" });
    for (const name of ["authorization", "cookie", "x-api-key"])
      expect(headers).not.toHaveProperty(name);
  });

  test("keep them at the same origin, and take relative addresses", async () => {
    const server = await serve(
      { status: 301, headers: { location: "../end?a=1" } },
      { body: "ok" },
    );
    const { fetch } = guarded();
    const response = await fetch(`http://site.good:${server.port}/a/b`, { headers: secrets });
    expect(response.url).toBe(`http://site.good:${server.port}/end?a=1`);
    expect(server.received[1]?.headers).toMatchObject(secrets);
  });

  test.each([
    [301, "POST", "GET", ""],
    [302, "PUT", "PUT", "text"],
    [303, "PUT", "GET", ""],
    [307, "POST", "POST", "text"],
    [308, "PATCH", "PATCH", "text"],
  ])("after %i a %s goes on as %s", async (status, method, next, body) => {
    const server = await serve({ status, headers: { location: "/end" } }, { body: "ok" });
    const { fetch } = guarded();
    await fetch(`http://site.good:${server.port}/`, { method, body: "text" });
    expect(server.received[1]).toMatchObject({ method: next, body });
    expect("content-type" in (server.received[1]?.headers ?? {})).toBe(body !== "");
  });

  test("have an end", async () => {
    const server = await serve({ status: 302, headers: { location: "/again" } });
    const { fetch } = guarded();
    await expect(fetch(`http://site.good:${server.port}/`)).rejects.toThrow(
      /once more after 5 redirect\(s\)/,
    );
    expect(server.received).toHaveLength(6);
  });

  test("are given back or refused when asked to be", async () => {
    const server = await serve({ status: 302, headers: { location: "/end" } });
    const { fetch } = guarded();
    const url = `http://site.good:${server.port}/`;
    expect((await fetch(url, { redirect: "manual" })).status).toBe(302);
    expect(await codeOf(fetch(url, { redirect: "error" }))).toBe("FETCH_FAILED");
    expect(await codeOf(fetch(url, { redirect: "maybe" as "error" }))).toBe("OPTION_INVALID");
  });
});

test("S17: a run whose client has safeFetch fails at once, whatever its rules say", async () => {
  const client = createClient({ storage: memory(), fetch: safeFetch() satisfies FetchFunction });
  const job = client.defineJob({
    id: "job",
    trigger: invokeTrigger(),
    run: (_, io) =>
      io.backgroundFetch(
        "fetch",
        "http://169.254.169.254/latest/meta-data/",
        {},
        {
          retry: { all: { strategy: "backoff" } },
        },
      ),
  });
  client.on("runFailed", () => {});
  const { id } = await client.invoke(job, {});
  await client.drain();
  const run = await client.getRun(id, { tasks: true });
  expect(run).toMatchObject({ status: "FAILED", error: { code: "FETCH_ADDRESS_REFUSED" } });
  expect(run?.tasks?.[0]?.attempts).toHaveLength(1);
  await client.stop();
});
