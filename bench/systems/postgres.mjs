// The server of the benchmark: default durability, PAWL_BENCH_POSTGRES_URL or the usual place.
import pg from "pg";

export const postgresUrl =
  process.env.PAWL_BENCH_POSTGRES_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";

let schemas = 0;

/** A schema of its own, and a pool beside it. */
export class Scratch {
  schema = `pawl_bench_${process.pid}_${schemas++}`;
  pool;

  constructor({ max }) {
    this.pool = new pg.Pool({ connectionString: postgresUrl, max });
  }

  async remove() {
    await this.pool.query(`drop schema if exists "${this.schema}" cascade`);
    await this.pool.end();
  }
}
