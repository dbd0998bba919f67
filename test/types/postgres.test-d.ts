import type { PGlite } from "@electric-sql/pglite";
import type pg from "pg";
import type postgres from "postgres";
import { expectTypeOf, test } from "vitest";
import type { PgPool } from "../../src/storage/postgres/pg-driver.js";
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
