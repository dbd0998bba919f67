import type { PGlite, Transaction } from "@electric-sql/pglite";
import { createClient, invokeTrigger, type Storage } from "pawl";
import { postgres as postgresStorage } from "pawl/postgres";
import type pg from "pg";
import type postgres from "postgres";
import { expectTypeOf, test } from "vitest";
import type { PgPool } from "../../src/storage/postgres/pg-pool.js";
import type { PGliteLike } from "../../src/storage/postgres/pglite-driver.js";
import type { PostgresJs } from "../../src/storage/postgres/postgres-js-driver.js";

test("the real clients have what the adapter uses of them", () => {
  expectTypeOf<pg.Pool>().toExtend<PgPool>();
  expectTypeOf<postgres.Sql>().toExtend<PostgresJs>();
  expectTypeOf<PGlite>().toExtend<PGliteLike>();
  // @ts-expect-error a single client cannot serve several statements at a time
  const pool: PgPool = {} as pg.Client;
  expectTypeOf(pool).toExtend<PgPool>();
});

declare const pool: pg.Pool;
declare const sql: postgres.Sql;
declare const lite: PGlite;

test("what a transaction is written through follows from the client", () => {
  expectTypeOf(postgresStorage({ client: pool })).toEqualTypeOf<Storage<pg.PoolClient>>();
  expectTypeOf(postgresStorage({ client: sql })).toEqualTypeOf<
    Storage<postgres.TransactionSql<Record<never, never>>>
  >();
  expectTypeOf(postgresStorage({ client: lite })).toEqualTypeOf<Storage<Transaction>>();
  expectTypeOf(postgresStorage("postgres://localhost")).toEqualTypeOf<Storage>();
  createClient({ storage: postgresStorage({ client: pool }) }).defineJob({
    id: "order",
    trigger: invokeTrigger(),
    run: async (_, io) => {
      const run = (sqlText: string) =>
        io.runTask(
          "book",
          async (_task, _io, tx) => {
            const { rows } = await tx.query<{ id: string }>(sqlText);
            // @ts-expect-error: no such method
            tx.begin();
            return rows[0]?.id;
          },
          { transaction: true },
        );
      expectTypeOf(await run("select 1")).toEqualTypeOf<string | undefined>();
    },
  });
});

interface Tx {
  execute(text: string, values: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
}

declare function withTx(work: (tx: Tx) => Promise<void>): Promise<void>;

test("a library of the application's own says it itself", () => {
  const storage = postgresStorage({
    client: pool,
    transactions: {
      begin: (work: (tx: Tx) => Promise<void>) => withTx(work),
      query: async (tx, text, values) => (await tx.execute(text, values)).rows,
    },
  });
  expectTypeOf(storage).toEqualTypeOf<Storage<Tx>>();
  postgresStorage({
    client: pool,
    transactions: {
      begin: (work: (tx: Tx) => Promise<void>) => withTx(work),
      // @ts-expect-error: rows, not the answer around them
      query: (tx, text, values) => tx.execute(text, values),
    },
  });
});
