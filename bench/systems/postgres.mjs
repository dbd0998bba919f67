// The server of the benchmark: default durability, PAWL_BENCH_POSTGRES_URL or the usual place.
import pg from "pg";

export const postgresUrl =
  process.env.PAWL_BENCH_POSTGRES_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";

let schemas = 0;

/** A schema of its own, or that of another process, and a pool beside it. */
export class Scratch {
  schema;
  pool;
  #isJoined;

  constructor({ max, schema }) {
    this.#isJoined = schema !== undefined;
    this.schema = schema ?? `pawl_bench_${process.pid}_${schemas++}`;
    this.pool = new pg.Pool({ connectionString: postgresUrl, max });
  }

  /** For connections that can be told from others. */
  get url() {
    const url = new URL(postgresUrl);
    url.searchParams.set("application_name", this.schema);
    return url.href;
  }

  async remove() {
    if (!this.#isJoined) await this.pool.query(`drop schema if exists "${this.schema}" cascade`);
    await this.pool.end();
  }
}

/** A database of its own, for systems that choose their schema themselves; or that of another process. */
export async function openDatabase(joined) {
  const name = joined ?? `pawl_bench_${process.pid}`;
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  if (joined !== undefined) return { name, url: url.href, remove: async () => {} };
  await administer(`create database "${name}"`);
  const remove = () => administer(`drop database if exists "${name}" with (force)`);
  return { name, url: url.href, remove };
}

async function administer(statement) {
  const client = new pg.Client(postgresUrl);
  await client.connect();
  await client.query(statement);
  await client.end();
}
