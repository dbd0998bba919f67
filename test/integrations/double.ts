import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach } from "vitest";

export interface Call {
  /** Method and path: "POST /v1/embeddings". */
  readonly route: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** "hang up": the connection is closed without an answer. "never": it stays open. */
type Trouble = Answer | "hang up" | "never";

/** A service on this machine, as strict as the real one: what it does not know it refuses. */
export abstract class Double {
  /** All that came in, also what was refused. */
  readonly calls: Call[] = [];
  /** What the next calls get in place of an answer. */
  readonly troubles: Trouble[] = [];
  aborted = 0;
  readonly #server = createServer(async (request, response) => {
    response.on("close", () => {
      if (!response.writableFinished) this.aborted += 1;
    });
    const call = await this.#read(request);
    this.calls.push(call);
    const answer = this.troubles.shift() ?? this.answer(call);
    if (answer === "never") return;
    if (answer === "hang up") {
      request.socket.destroy();
      return;
    }
    const { status = 200, headers, body } = answer;
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  });

  protected abstract parse(body: string): Record<string, unknown>;
  protected abstract answer(call: Call): Answer;

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #read(request: IncomingMessage): Promise<Call> {
    const { method, url, headers } = request;
    const body = await text(request);
    return { route: `${method} ${url}`, headers, body: body === "" ? {} : this.parse(body) };
  }
}

/** Nothing for a header that is no "Bearer …". */
export function bearerToken({ headers }: Call): string {
  return /^Bearer (\S+)$/.exec(headers.authorization ?? "")?.[1] ?? "";
}

/** Fields of the body that the service does not know, and those that it lacks. */
export function wrongFields(call: Call, fields: string): string[] {
  const names = fields.match(/\S+/g) ?? [];
  const known = names.map((field) => field.replace("?", ""));
  const needed = names.filter((field) => !field.endsWith("?"));
  const unknown = Object.keys(call.body).filter((field) => !known.includes(field));
  return [...unknown, ...needed.filter((field) => !(field in call.body))];
}

/** Makes doubles that are closed after the test. */
export function doubles<D extends Double>(make: () => D): () => Promise<D> {
  const open: D[] = [];
  afterEach(async () => {
    for (const double of open.splice(0)) await double.close();
  });
  return async () => {
    const double = make();
    await double.listen();
    open.push(double);
    return double;
  };
}
