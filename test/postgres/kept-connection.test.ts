import pg from "pg";
import { afterEach, beforeEach, expect, inject, test, vi } from "vitest";
import { KeptConnection } from "../../src/storage/postgres/kept-connection.js";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { schemaName } from "./clients.js";

/** Statements that come one after the other keep their connection. */
const schema = schemaName();
const insert = `insert into "${schema}".numbers values ($1::integer)`;
let pool: pg.Pool;
let driver: PgDriver;
let acquired = 0;

function connect(options: pg.PoolConfig & { readonly pipeline?: boolean }): void {
  pool = new pg.Pool({ connectionString: inject("postgresUrl"), ...options });
  driver = new PgDriver(pool, { prepare: true, ownsPool: true });
  acquired = 0;
  pool.on("acquire", () => acquired++);
}

/** The same table by another pool. */
async function reconnect(options: pg.PoolConfig & { readonly pipeline?: boolean }): Promise<void> {
  await driver.close();
  connect(options);
}

const allAreIdle = () => vi.waitFor(() => expect(pool.idleCount).toBe(pool.totalCount));

beforeEach(async () => {
  connect({ max: 3 });
  await driver.script(
    `create schema "${schema}"; create table "${schema}".numbers (n integer primary key)`,
  );
  acquired = 0;
});
afterEach(async () => {
  vi.useRealTimers();
  // A server does not notice that nobody waits for its answer any more.
  await driver.script(
    `select pg_terminate_backend(pid) from pg_stat_activity where query like 'insert%"${schema}"%pg_sleep%'`,
  );
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
  await allAreIdle();
  await driver.insert(insert, ["20"]);
  expect(acquired).toBe(2);
  expect(await numbers()).toHaveLength(21);
});

test("and those that come at once take others", async () => {
  const inserted = [0, 1, 2].map((n) => driver.insert(insert, [String(n)]));
  expect(await Promise.all(inserted)).toEqual([1, 1, 1]);
  expect(acquired).toBe(3);
  await allAreIdle();
  expect(pool.idleCount).toBe(3);
});

test("but not while somebody waits for one", async () => {
  await reconnect({ max: 1 });
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

test("and what else the adapter asks does not wait until it is given back", async () => {
  await reconnect({ max: 1 });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  await driver.insert(insert, ["1"]);
  expect(await numbers()).toEqual([1]);
  await driver.insert(insert, ["2"]);
  await driver.transaction(async (session) => {
    await session.query(`insert into "${schema}".numbers values (3)`);
  });
  expect(await numbers()).toEqual([1, 2, 3]);
});

test("a client in pipeline mode, which takes no statements but its own, is asked in its way", async () => {
  await reconnect({ pipeline: true });
  for (let n = 0; n < 3; n++) expect(await driver.insert(insert, [String(n)])).toBe(1);
  expect(await numbers()).toEqual([0, 1, 2]);
  expect(await driver.planned("select current_setting('enable_seqscan')", [])).toEqual([["off"]]);
});

const sleeps = (seconds: number) =>
  `insert into "${schema}".numbers select $1::integer from pg_sleep(${seconds})`;

test("a pool's own timeout of statements holds", async () => {
  await reconnect({ query_timeout: 500 });
  await driver.insert(insert, ["1"]);
  await expect(driver.insert(sleeps(30), ["2"])).rejects.toThrow("Query read timeout");
  await driver.insert(insert, ["3"]);
  expect(await numbers()).toEqual([1, 3]);
});

test("a server that does not answer is given up, and another connection taken", async () => {
  const kept = new KeptConnection(pool, 1_000);
  const insertOf = (text: string, value: string) =>
    kept.insert({ name: text.slice(-20), text, values: [value] });
  expect(await insertOf(insert, "1")).toBe(1);
  await expect(insertOf(sleeps(30), "2")).rejects.toThrow("no answer within 1000 ms");
  expect(await insertOf(insert, "3")).toBe(1);
  await allAreIdle();
  expect(await numbers()).toEqual([1, 3]);
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

test("nor is the connection used again on which a planned statement failed", async () => {
  expect(await driver.planned("select $1::text", ["1"])).toEqual([["1"]]);
  await allAreIdle();
  const before = pool.totalCount;
  const failed = driver.planned("select (1 / $1::integer)::text", ["0"]);
  await expect(failed).rejects.toMatchObject({ code: "22012" });
  expect(pool.totalCount).toBe(before - 1);
  expect(await driver.planned("select (1 / $1::integer)::text", ["1"])).toEqual([["1"]]);
});
