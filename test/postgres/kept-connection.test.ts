import { setImmediate as endOfTurn } from "node:timers/promises";
import pg from "pg";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { schemaName } from "./clients.js";

/** Statements that come one after the other keep their connection. */
const schema = schemaName();
const insert = `insert into "${schema}".numbers values ($1::integer)`;
let pool: pg.Pool;
let driver: PgDriver;
let acquired = 0;

async function open(max: number): Promise<void> {
  pool = new pg.Pool({ connectionString: inject("postgresUrl"), max });
  driver = new PgDriver(pool, { prepare: true, ownsPool: true });
  await driver.script(
    `create schema "${schema}"; create table "${schema}".numbers (n integer primary key)`,
  );
  acquired = 0;
  pool.on("acquire", () => acquired++);
}

beforeEach(() => open(3));
afterEach(async () => {
  await driver.script(`drop schema "${schema}" cascade`);
  await driver.close();
});

const numbers = async () =>
  (await driver.query(`select n::text from "${schema}".numbers order by n`)).map(([n]) =>
    Number(n),
  );

test("as long as one comes in the turn in which the one before was answered", async () => {
  for (let n = 0; n < 20; n++) expect(await driver.insert(insert, [String(n)])).toBe(1);
  expect(acquired).toBe(1);
  await endOfTurn();
  await endOfTurn();
  expect(pool.idleCount).toBe(pool.totalCount);
  await driver.insert(insert, ["20"]);
  expect(acquired).toBe(2);
  expect(await numbers()).toHaveLength(21);
});

test("and those that come at once take others", async () => {
  const inserted = [0, 1, 2].map((n) => driver.insert(insert, [String(n)]));
  expect(await Promise.all(inserted)).toEqual([1, 1, 1]);
  expect(acquired).toBe(3);
  await endOfTurn();
  await endOfTurn();
  expect(pool.idleCount).toBe(3);
});

test("but not while somebody waits for one", async () => {
  await driver.script(`drop schema "${schema}" cascade`);
  await driver.close();
  await open(1);
  const order: string[] = [];
  const sequence = async () => {
    for (let n = 0; n < 5; n++) {
      await driver.insert(insert, [String(n)]);
      order.push("insert");
    }
  };
  const application = pool.query("select 1").then(() => {});
  const all = sequence();
  await application;
  const other = pool.query("select 1").then(() => order.push("application"));
  await Promise.all([all, other]);
  expect(order).toHaveLength(6);
  expect(order.indexOf("application")).toBeLessThan(5);
});

test("and after an error or its death another one is taken", async () => {
  await driver.insert(insert, ["1"]);
  await expect(driver.insert(insert, ["1"])).rejects.toMatchObject({ code: "23505" });
  await driver.insert(insert, ["2"]);
  expect(acquired).toBe(2);
  const terminated = driver.insert(
    `insert into "${schema}".numbers select 3 from (select pg_terminate_backend(pg_backend_pid())) as own where $1::text is not null`,
    ["x"],
  );
  await expect(terminated).rejects.toThrow();
  await driver.insert(insert, ["3"]);
  expect(await numbers()).toEqual([1, 2, 3]);
});
