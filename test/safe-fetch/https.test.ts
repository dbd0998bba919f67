import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { servers } from "../engine/scripted-server.js";
import { CertificateAuthority } from "./certificates.js";
import type { Outcome } from "./https-client.js";

const folder = mkdtempSync(join(tmpdir(), "pawl-https-"));
const program = resolve(import.meta.dirname, "https-client.ts");
const loader = resolve(import.meta.dirname, "../../scripts/ts.mjs");

describe("safeFetch over https", () => {
  const serve = servers();
  const authority = new CertificateAuthority(folder);
  let server: Server;
  let port = 0;
  let location = "";
  let received: { host: unknown; serverName: unknown; body: string }[];

  async function receive(request: IncomingMessage): Promise<void> {
    const serverName = (request.socket as TLSSocket & { servername?: unknown }).servername;
    received.push({ host: request.headers.host, serverName, body: await text(request) });
  }

  beforeAll(async () => {
    server = createServer(
      authority.certify("DNS:site.example,DNS:*.sites.example,IP:127.0.0.1"),
      async (request, response) => {
        await receive(request);
        if (request.url === "/moved") response.writeHead(307, { location });
        response.end("welcome");
      },
    ).listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  });
  beforeEach(() => {
    received = [];
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
    rmSync(folder, { recursive: true });
  });

  /** Fetches in a process that knows the authority, or does not. */
  async function fetched(url: string, known = true): Promise<Outcome> {
    const { NODE_TLS_REJECT_UNAUTHORIZED: _, NODE_EXTRA_CA_CERTS: __, ...env } = process.env;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", loader, program, url],
      { env: { ...env, ...(known && { NODE_EXTRA_CA_CERTS: authority.path }) } },
    );
    const [outcome] = JSON.parse(stdout) as Outcome[];
    if (outcome === undefined) throw new Error(`nothing became of ${url}`);
    return outcome;
  }

  test.each(["site.example", "one.sites.example"])(
    "S17: connects to the address that was checked, and asks for the certificate of the name, %s",
    async (name) => {
      expect(await fetched(`https://${name}:${port}/path`)).toEqual({
        status: 200,
        text: "welcome",
        asked: [name],
      });
      expect(received).toEqual([{ host: `${name}:${port}`, serverName: name, body: "hello" }]);
    },
  );

  test("S17: an address in the URL is what the certificate must be for", async () => {
    const outcome = await fetched(`https://127.0.0.1:${port}/`);
    expect(outcome).toEqual({ status: 200, text: "welcome", asked: [] });
    expect(received).toMatchObject([{ serverName: false }]);
  });

  test.each(["other.example", "127.0.0.1"])(
    "S17: sends nothing to a server with the certificate of another than %s",
    async (name) => {
      const here = createServer(
        authority.certify("DNS:site.example"),
        async (request, response) => {
          await receive(request);
          response.end();
        },
      ).listen(0, "127.0.0.1");
      await once(here, "listening");
      const { port: herePort } = here.address() as AddressInfo;
      const outcome = await fetched(`https://${name}:${herePort}/`);
      here.close();
      expect(outcome.code).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
      expect(received).toEqual([]);
    },
  );

  test("S17: sends nothing to a server whose authority nobody knows", async () => {
    const outcome = await fetched(`https://site.example:${port}/`, false);
    expect(outcome.code).toMatch(/UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET_ISSUER/);
    expect(received).toEqual([]);
  });

  test("S17: a redirect from https to http takes the body along and no secret", async () => {
    const plain = await serve({ body: "plain" });
    location = `http://127.0.0.1:${plain.port}/end`;
    const outcome = await fetched(`https://site.example:${port}/moved`);
    expect(outcome).toMatchObject({ status: 200, text: "plain" });
    expect(plain.received).toMatchObject([{ method: "POST", path: "/end", body: "hello" }]);
    expect(plain.received[0]?.headers).not.toHaveProperty("authorization");
  });

  test("S17: the name behind a redirect is looked up anew", async () => {
    location = `https://other.example:${port}/`;
    const outcome = await fetched(`https://site.example:${port}/moved`);
    expect(outcome).toEqual({
      code: "FETCH_ADDRESS_REFUSED",
      asked: ["site.example", "other.example"],
    });
    expect(received).toHaveLength(1);
  });
});
