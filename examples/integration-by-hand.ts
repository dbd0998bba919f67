// An integration of any SDK: its calls become tasks, with the credentials of the run's account.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  createClient,
  createIntegration,
  invokeTrigger,
  notConnected,
  type OnError,
  retryAfterReset,
  task,
} from "pawl";
import { memory } from "pawl/memory";

// The service: knows Ada's token, makes each ticket once per key, and is busy at first.
const tickets = new Map<string, number>();
let requests = 0;
const service = createServer((request, response) => {
  requests += 1;
  const key = String(request.headers["idempotency-key"]);
  if (request.headers.authorization !== "Bearer token-of-ada") response.writeHead(401).end();
  else if (requests === 1) response.writeHead(429, { "retry-after": "1" }).end();
  else {
    if (!tickets.has(key)) tickets.set(key, tickets.size + 1);
    response.writeHead(200).end(JSON.stringify({ number: tickets.get(key) }));
  }
});
await once(service.listen(0, "127.0.0.1"), "listening");
const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}/tickets`;

// The SDK, as one from npm would be.
class TicketError extends Error {
  readonly status: number;
  readonly headers: Headers;
  constructor({ status, headers }: Response) {
    super(`The service answered ${status}.`);
    this.status = status;
    this.headers = headers;
  }
}

class Tickets {
  readonly #token: string;
  constructor(token: string) {
    this.#token = token;
  }
  async open(ticket: { title: string }, idempotencyKey: string): Promise<{ number: number }> {
    const headers = {
      authorization: `Bearer ${this.#token}`,
      "idempotency-key": idempotencyKey,
    };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(ticket) });
    if (!response.ok) throw new TicketError(response);
    return (await response.json()) as { number: number };
  }
}

// The integration: about twenty lines, and each job has the calls of the SDK as tasks.
const onError: OnError = (error, _task, _io, now) => {
  if (!(error instanceof TicketError)) return;
  if (error.status === 429) return retryAfterReset(error.headers, [], now);
  return error.status < 500 ? { skipRetrying: true } : undefined;
};

const ticketing = createIntegration({
  id: "tickets",
  authSource: "HOSTED",
  client: (auth) => new Tickets(auth?.accessToken ?? ""),
  tasks: {
    open: task((sdk: Tickets, ticket: { title: string }, task) =>
      sdk.open(ticket, task.idempotencyKey),
    ),
  },
  onError,
});

const client = createClient({ storage: memory() });
const tokens = new Map<string, string>();
client.defineAuthResolver(ticketing, ({ account }) => {
  const token = tokens.get(account?.id ?? "");
  return token === undefined ? notConnected : { type: "apiKey", accessToken: token };
});

const complain = client.defineJob({
  id: "complain",
  trigger: invokeTrigger(),
  integrations: { tickets: ticketing },
  run: (_payload, io) => io.tickets.open("open", { title: "The printer is out of ink" }),
});

await client.start();
const waiting = new Promise<void>((resolve) => client.on("runWaiting", () => resolve()));
const run = await client.invoke(complain, {}, { accountId: "ada" });
await waiting;
console.log((await client.getRun(run))?.status);

// Ada has connected the service.
tokens.set("ada", "token-of-ada");
await client.connectionReady(ticketing, { accountId: "ada" });
const { status, output } = await client.waitForRun(run);
console.log(status, output);
console.log(`${requests} requests, ${tickets.size} ticket`);
await client.stop();
service.closeAllConnections();
service.close();
