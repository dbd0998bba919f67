import { testStorage } from "pawl/adapter-kit";
import pg from "pg";
import { describe, inject, test } from "vitest";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { PostgresStorage } from "../../src/storage/postgres/storage.js";
import { schemaName } from "./clients.js";

testStorage({
  name: "postgres (pg)",
  runner: { describe, test },
  skip: [
    {
      reason: "the server's clock is the store's: set back, it goes back",
      tests: ["it never goes back, whatever becomes of the wall clock"],
    },
  ],
  create: (clock) => {
    const schema = schemaName();
    const pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 4 });
    const driver = new PgDriver(pool, { prepare: true, ownsPool: false });
    return {
      open: () => new PostgresStorage({ open: () => driver, schema, clock, notify: true }),
      dispose: async () => {
        await driver.script(`drop schema if exists "${schema}" cascade`);
        await pool.end();
      },
    };
  },
});
