// Its server is a process beside this one, with its own store in `dir` and default durability; the handlers are here.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http2";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createEndpointHandler, service } from "@restatedev/restate-sdk";
import { connect } from "@restatedev/restate-sdk-clients";
import { bodies } from "../jobs.mjs";
import { now, sleep } from "../measure.mjs";
import { openRawPostgres } from "./raw-postgres.mjs";

const binary = createRequire(import.meta.url).resolve(
  "@restatedev/restate-server-linux-x64/bin/restate-server",
);
// Others than the usual ones, where a server of somebody else may listen.
const ports = { ingress: 18_080, admin: 19_070, node: 15_122, handlers: 19_180 };
const local = (port) => `http://127.0.0.1:${port}`;

export const open =
  () =>
  async ({ dir }) => {
    const server = startServer(dir);
    const endpoint = createServer(createEndpointHandler({ services: [handlers()], logger() {} }));
    endpoint.listen(ports.handlers, "127.0.0.1");
    await once(endpoint, "listening");
    await register();
    const client = connect({ url: local(ports.ingress) }).serviceSendClient({ name: "bench" });
    return {
      enqueue: (name, payload) => client[name](payload),
      start: () => sleep(1_000),
      openRaw: openRawPostgres,
      async close() {
        endpoint.close();
        server.kill("SIGKILL");
        await once(server, "exit");
      },
    };
  };

function startServer(dir) {
  const server = spawn(binary, ["--base-dir", join(dir, "restate"), "--node-name", "bench"], {
    stdio: "ignore",
    env: {
      PATH: process.env.PATH,
      RESTATE_DISABLE_TELEMETRY: "true",
      RESTATE_LISTEN_MODE: "tcp",
      RESTATE_BIND_ADDRESS: `127.0.0.1:${ports.node}`,
      RESTATE_ADVERTISED_ADDRESS: local(ports.node),
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ports.ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${ports.admin}`,
    },
  });
  process.on("exit", () => server.kill("SIGKILL"));
  process.on("SIGTERM", () => process.exit(1));
  return server;
}

function handlers() {
  const handlerOf = (body) => (context, payload) =>
    body(
      {
        step: (key, task) => context.run(key, task),
        sleep: (_, ms) => context.sleep(ms),
      },
      payload,
    );
  const entries = Object.entries(bodies).map(([name, body]) => [name, handlerOf(body)]);
  return service({ name: "bench", handlers: Object.fromEntries(entries) });
}

/** Tells the server where the handlers are, once it answers. */
async function register() {
  const body = JSON.stringify({ uri: local(ports.handlers), force: true });
  const request = { method: "POST", headers: { "content-type": "application/json" }, body };
  for (const end = now() + 30_000; ; await sleep(200)) {
    try {
      const response = await fetch(`${local(ports.admin)}/deployments`, request);
      if (response.ok) return;
      if (now() > end) throw new Error(await response.text());
    } catch (error) {
      if (now() > end) throw error;
    }
  }
}
