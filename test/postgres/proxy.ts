import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** The connection ends in the middle of what the client sends, or of the answer to it. */
export interface Cut {
  readonly in: "request" | "answer";
  /** How much of it still gets through, from 0 to 1. */
  readonly share: number;
}

/** What happens to a connection when the client sends something. */
export type Fate = "pass" | Cut;

export interface Proxy {
  readonly url: string;
  /** Asked for each piece that a client sends, on which of its connections. */
  onRequest(fate: (data: Buffer, connection: object) => Fate): void;
  /** Nothing goes either way, while both sides believe to be connected. */
  mute(on: boolean): void;
  /** The connections of this moment stay so for ever; new ones work. */
  loseAll(): void;
  close(): void;
}

const part = (data: Buffer, share: number) => data.subarray(0, Math.floor(share * data.length));

/** Between clients and the server. A request that was let through is executed, whatever becomes of its answer. */
export async function startProxy(serverUrl: string): Promise<Proxy> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  const losses = new Set<() => void>();
  let isMute = false;
  let fateOf: (data: Buffer, connection: object) => Fate = () => "pass";
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let cut: Cut | undefined;
    let isLost = false;
    losses.add(() => {
      isLost = true;
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const endWith = (socket: Socket, data: Buffer) => socket.end(data, () => client.destroy());
    client.on("data", (data) => {
      if (isMute || isLost || cut !== undefined) return;
      const fate = fateOf(data, client);
      if (fate !== "pass") cut = fate;
      if (cut?.in === "request") endWith(upstream, part(data, cut.share));
      else upstream.write(data);
    });
    upstream.on("data", (data) => {
      if (cut?.in === "answer") endWith(client, part(data, cut.share));
      else if (!isMute && !isLost) client.write(data);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(serverUrl);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href,
    onRequest: (fate) => {
      fateOf = fate;
    },
    mute: (on) => {
      isMute = on;
    },
    loseAll: () => {
      for (const lose of losses) lose();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
