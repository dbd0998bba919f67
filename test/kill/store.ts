import type { Storage } from "pawl/adapter-kit";
import { postgres } from "pawl/postgres";
import { sqlite } from "pawl/sqlite";
import pg from "pg";

const all = ["sqlite", "postgres"] as const;
export type StoreName = (typeof all)[number];

/** `npm run test:kill -- --storage postgres`; both without it. */
export const storeNames: readonly StoreName[] = all.filter((name) =>
  (process.env.PAWL_KILL_STORAGE ?? name).split(",").includes(name),
);

/** The looker and the sender need few; workers have what they have by default. */
const FEW_CONNECTIONS = 2;

/** One schema on a server, as a child process is told of it. */
export function postgresAddress(url: string, schema: string): string {
  return `${url}#${schema}`;
}

function partsOf(address: string): { readonly url: string; readonly schema: string } | undefined {
  if (!address.startsWith("postgres")) return undefined;
  const at = address.lastIndexOf("#");
  return { url: address.slice(0, at), schema: address.slice(at + 1) };
}

/** @param address the path of a SQLite file, or what {@link postgresAddress} gave */
export function openStore(address: string, load: "little" | "usual" = "usual"): Storage {
  const parts = partsOf(address);
  if (parts === undefined) return sqlite(address);
  return postgres({ ...parts, ...(load === "little" && { maxConnections: FEW_CONNECTIONS }) });
}

/** Whether a commit goes to a server, which takes longer, most of all under load. */
export function isServer(address: string): boolean {
  return partsOf(address) !== undefined;
}

/**
 * As short as others take over quickly, and as long as commits under load do not make it run out: those of a server wait
 * for each other's flushes, and each run for its own one before.
 */
export function leaseMsOf(address: string): number {
  return isServer(address) ? 1_000 : 500;
}

/** A SQLite file goes with its folder. */
export async function removeStore(address: string): Promise<void> {
  const parts = partsOf(address);
  if (parts === undefined) return;
  const client = new pg.Client({ connectionString: parts.url });
  await client.connect();
  await client.query(`drop schema if exists "${parts.schema}" cascade`);
  await client.end();
}
