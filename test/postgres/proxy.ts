import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** What happens to a connection when the client sends something. */
export type Fate = "pass" | "cut before" | "cut after" | "mute";

export interface Proxy {
  readonly url: string;
  /** Asked for each piece that a client sends. */
  onRequest(fate: (data: Buffer) => Fate): void;
  /** Nothing goes either way, while both sides believe to be connected. */
  mute(on: boolean): void;
  /** The connections of this moment stay so for ever; new ones work. */
  loseAll(): void;
  close(): void;
}

/**
 * Between clients and the server. "cut after": the server gets the request, and
 * the client loses the connection before the answer.
 */
export async function startProxy(serverUrl: string): Promise<Proxy> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  const losses = new Set<() => void>();
  let isMute = false;
  let fateOf: (data: Buffer) => Fate = () => "pass";
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let isCut = false;
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
    client.on("data", (data) => {
      const fate = isMute || isLost ? "mute" : fateOf(data);
      if (fate === "mute" || isCut) return;
      isCut = fate !== "pass";
      if (fate !== "cut before") upstream.write(data);
      if (fate === "cut before") client.destroy();
    });
    upstream.on("data", (data) => {
      if (isCut) client.destroy();
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
