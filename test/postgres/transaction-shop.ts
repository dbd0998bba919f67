import { createClient, type Io, invokeTrigger, type Run, type Storage } from "pawl";
import pg from "pg";
import { inject } from "vitest";
import { schemaName } from "./clients.js";

export const transaction = { transaction: true } as const;

/** A schema of Pawl's, one of the application's, and a way to look at both from outside. */
export class Shop {
  readonly schema = schemaName();
  readonly tables = `${this.schema}_shop`;
  readonly #pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 2 });
  readonly #stops: (() => Promise<unknown>)[] = [];
  readonly #ends: (() => Promise<unknown>)[] = [];

  async open(): Promise<this> {
    await this.#pool.query(`create schema "${this.tables}"`);
    await this.#pool.query(`create table "${this.tables}".customers (id text primary key)`);
    await this.#pool.query(
      `create table "${this.tables}".orders (id text primary key, amount integer not null default 1,
        customer text references "${this.tables}".customers deferrable initially deferred)`,
    );
    return this;
  }

  get url(): string {
    return inject("postgresUrl");
  }

  /** To be ended with the shop. */
  using<T>(client: T, end: (client: T) => Promise<unknown>): T {
    this.#ends.push(() => end(client));
    return client;
  }

  pool(options: pg.PoolConfig = {}): pg.Pool {
    const shared = { connectionString: this.url, max: 4, application_name: this.schema };
    const pool = new pg.Pool({ ...shared, ...options });
    pool.on("error", () => {});
    return this.using(pool, (each) => each.end());
  }

  async query(text: string, values: unknown[] = []): Promise<unknown[]> {
    const { rows } = await this.#pool.query(text, values);
    return rows;
  }

  async orders(): Promise<string[]> {
    const rows = await this.query(`select id from "${this.tables}".orders order by id`);
    return rows.map((row) => (row as { id: string }).id);
  }

  insert(id: string, customer: string | null = null): { text: string; values: (string | null)[] } {
    return {
      text: `insert into "${this.tables}".orders (id, customer) values ($1, $2)`,
      values: [id, customer],
    };
  }

  client<Tx>(storage: Storage<Tx>, program: (io: Io<Tx>, runId: string) => unknown, options = {}) {
    const troubles: unknown[] = [];
    const client = createClient({
      storage,
      pollMs: 50,
      onError: (error) => troubles.push(error),
      ...options,
    });
    this.#stops.push(() => client.stop({ timeout: "1s" }));
    client.on("runFailed", () => {});
    const job = client.defineJob({
      id: "job",
      trigger: invokeTrigger(),
      run: (_, io, { run }) => program(io, run.id),
    });
    return { client, job, troubles };
  }

  /** One run to its end, in one process. */
  async run<Tx>(storage: Storage<Tx>, program: (io: Io<Tx>) => unknown): Promise<Run> {
    const { client, job } = this.client(storage, program);
    const handle = await client.invoke(job, undefined);
    await client.drain();
    const run = await client.getRun(handle, { tasks: true });
    if (run === undefined) throw new Error("the run is gone");
    return run as Run;
  }

  async close(): Promise<void> {
    await Promise.all(this.#stops.map((stop) => stop()));
    // A test that fails may leave a transaction open, which the rest would wait for.
    await this.#pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
      [this.schema],
    );
    for (const end of this.#ends) await end();
    await this.#pool.query(`drop schema if exists "${this.schema}" cascade`);
    await this.#pool.query(`drop schema if exists "${this.tables}" cascade`);
    await this.#pool.end();
  }
}
