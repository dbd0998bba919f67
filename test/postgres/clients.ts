import { PGlite } from "@electric-sql/pglite";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, inject } from "vitest";
import type { Driver } from "../../src/storage/postgres/driver.js";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { PGliteDriver } from "../../src/storage/postgres/pglite-driver.js";
import { PostgresJsDriver } from "../../src/storage/postgres/postgres-js-driver.js";
import { eventually } from "../eventually.js";

/** A client of one kind, and how to end it. */
interface Opened {
  readonly driver: Driver;
  end(): Promise<unknown>;
}

const openers: Readonly<Record<string, () => Opened | Promise<Opened>>> = {
  pg: () => {
    const pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 4 });
    return {
      driver: new PgDriver(pool, { prepare: true, ownsPool: false }),
      end: () => pool.end(),
    };
  },
  "postgres.js": () => {
    const sql = postgres(inject("postgresUrl"), { max: 4, onnotice: () => {} });
    return {
      driver: new PostgresJsDriver(sql, { prepare: true, ownsClient: false }),
      end: () => sql.end(),
    };
  },
  PGlite: async () => {
    const database = await PGlite.create();
    return { driver: new PGliteDriver(database), end: () => database.close() };
  },
};

let schemas = 0;

/** A schema of the file's own; it goes when the file is through. */
export function schemaName(): string {
  return `pawl_test_${process.pid}_${schemas++}`;
}

/** Registers the tests for each client, each on an empty schema. */
export function describeClients(
  title: string,
  tests: (driver: () => Driver, schema: string) => void,
): void {
  for (const [name, open] of Object.entries(openers)) {
    describe(`${title} (${name})`, () => {
      const schema = schemaName();
      let opened: Opened | undefined;
      const driver = () => {
        if (opened === undefined) throw new Error("not open yet");
        return opened.driver;
      };
      beforeAll(async () => {
        opened = await open();
      });
      afterAll(async () => {
        await opened?.driver.query(`drop schema if exists "${schema}" cascade`);
        await opened?.end();
      });
      tests(driver, schema);
    });
  }
}

/** Until a statement on this schema waits for somebody's lock. */
export async function waitingForLock(pool: pg.Pool, schema: string): Promise<void> {
  await eventually(async () => {
    const { rowCount } = await pool.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and (position($1 in query) > 0 or position('pg_advisory' in query) > 0)",
      [schema],
    );
    return (rowCount ?? 0) > 0;
  });
}
