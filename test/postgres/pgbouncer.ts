import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { eventually } from "../eventually.js";
import { answers, freePort, unprivilegedUser } from "./server.js";

export interface PgBouncer {
  readonly url: string;
  /** Its process is gone at once, and every connection with it. */
  kill(): Promise<void>;
  /** At the same address. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Undefined: it is not installed here. */
export function pgbouncerBinary(): string | undefined {
  return [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"]
    .map((folder) => join(folder, "pgbouncer"))
    .find((path) => existsSync(path));
}

/** The real one, in transaction mode, with fewer connections than its clients have. */
export async function startPgBouncer(serverUrl: string, poolSize: number): Promise<PgBouncer> {
  const binary = pgbouncerBinary();
  if (binary === undefined) throw new Error("PgBouncer is not installed.");
  const user = unprivilegedUser();
  const folder = mkdtempSync(join(tmpdir(), "pawl-pgbouncer-"));
  const port = await freePort();
  const config = join(folder, "pgbouncer.ini");
  const users = join(folder, "users.txt");
  writeFileSync(config, configText(new URL(serverUrl), { port, poolSize, users }));
  writeFileSync(users, `"${decodeURIComponent(new URL(serverUrl).username)}" ""\n`);
  if (user !== undefined)
    for (const path of [folder, config, users]) chownSync(path, user.uid, user.gid);
  const url = new URL(serverUrl);
  url.host = `127.0.0.1:${port}`;
  url.password = "";
  let process: ChildProcess | undefined;
  const end = async (signal: NodeJS.Signals) => {
    const ending = process;
    process = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const exit = once(ending, "exit");
    ending.kill(signal);
    await exit;
  };
  const start = async () => {
    process = spawn(binary, ["-q", config], { ...user, cwd: folder, stdio: "ignore" });
    await eventually(() => answers(url.href));
  };
  await start();
  return {
    url: url.href,
    kill: () => end("SIGKILL"),
    start,
    stop: async () => {
      await end("SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configText(
  server: URL,
  own: { readonly port: number; readonly poolSize: number; readonly users: string },
): string {
  const password = server.password === "" ? "" : ` password=${decodeURIComponent(server.password)}`;
  return `
[databases]
* = host=${server.hostname} port=${server.port || "5432"}${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own.port}
unix_socket_dir =
auth_type = trust
auth_file = ${own.users}
pool_mode = transaction
default_pool_size = ${own.poolSize}
max_client_conn = 200
`;
}
