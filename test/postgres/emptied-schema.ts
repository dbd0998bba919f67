import pg from "pg";
import type { Storage } from "../../src/core/storage.js";
import { PostgresStorage } from "../../src/storage/postgres/storage.js";
import { SharedListener } from "./shared-listener.js";
import { deleteAll, truncateAll } from "./tables.js";

/** After so many, what was deleted is really removed: the indexes would fill up with it. */
const TRUNCATE_EVERY = 100;

/**
 * One schema for many short tests, each of which finds it empty: to make one for each would take most of the time.
 * Commits are not waited for, since what a disk does is not the subject.
 */
export class EmptiedSchema {
  readonly pool: pg.Pool;
  readonly listener: SharedListener;
  readonly schema: string;
  #emptied = 0;

  private constructor(pool: pg.Pool, listener: SharedListener, schema: string) {
    this.pool = pool;
    this.listener = listener;
    this.schema = schema;
  }

  static async make(url: string, schema: string): Promise<EmptiedSchema> {
    const pool = new pg.Pool({
      connectionString: url,
      max: 10,
      idleTimeoutMillis: 0,
      options: "-c synchronous_commit=off",
    });
    const listener = await SharedListener.open(url);
    const made = new EmptiedSchema(pool, listener, schema);
    const storage = made.open({ now: Date.now });
    await storage.init({ clock: { now: Date.now } as never });
    await storage.close();
    // It may be there from a process that was stopped in the middle.
    await pool.query(truncateAll(schema));
    return made;
  }

  /** As one process has it. */
  open(clock: { now(): number }): Storage {
    const driver = this.listener.driver(this.pool);
    return new PostgresStorage({ open: () => driver, schema: this.schema, clock, notify: true });
  }

  async empty(): Promise<void> {
    const isFull = ++this.#emptied % TRUNCATE_EVERY === 0;
    await this.pool.query(isFull ? truncateAll(this.schema) : deleteAll(this.schema));
  }

  async remove(): Promise<void> {
    await this.pool.query(`drop schema if exists "${this.schema}" cascade`);
    await this.listener.close();
    await this.pool.end();
  }
}
