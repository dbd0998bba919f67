import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach } from "vitest";

export interface Received {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** An object is sent as JSON. */
  readonly body?: unknown;
}

/** A reply, or what deals with the response itself. */
type Script = Reply | ((request: Received, response: ServerResponse) => Reply | undefined);

/** A real server on this machine; its n-th request gets the n-th reply, and all later ones the last. */
export class ScriptedServer {
  readonly received: Received[] = [];
  readonly #script: readonly Script[];
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  constructor(script: readonly Script[]) {
    this.#script = script;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url: path, headers } = request;
    const received = { method, path, headers, body: await text(request) };
    this.received.push(received);
    const script = this.#script[Math.min(this.received.length, this.#script.length) - 1] ?? {};
    const reply = typeof script === "function" ? script(received, response) : script;
    if (reply === undefined) return;
    const { status = 200, body, headers: sent = {} } = reply;
    const isText = typeof body === "string" || body instanceof Uint8Array || body === undefined;
    const all = isText ? sent : { "content-type": "application/json", ...sent };
    response.writeHead(status, all as Record<string, string | string[]>);
    response.end(isText ? body : JSON.stringify(body));
  }
}

/** Makes servers that are closed after the test. */
export function servers(): (...script: Script[]) => Promise<ScriptedServer> {
  const open: ScriptedServer[] = [];
  afterEach(async () => {
    for (const server of open.splice(0)) await server.close();
  });
  return async (...script) => {
    const server = new ScriptedServer(script);
    await server.listen();
    open.push(server);
    return server;
  };
}
