import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { migrate, migrationScript, schemaVersion } from "../../src/storage/postgres/schema.js";
import { checkedSchemaName } from "../../src/storage/postgres/schema-name.js";
import { describeClients, schemaName } from "./clients.js";

async function tablesOf(
  driver: { query: PgDriver["query"] },
  schema: string,
): Promise<(string | null | undefined)[]> {
  const rows = await driver.query(
    "select tablename from pg_catalog.pg_tables where schemaname = $1 order by 1",
    [schema],
  );
  return rows.map(([name]) => name);
}

describeClients("the schema", (driver, schema) => {
  test("is made once, and again nothing is changed", async () => {
    await migrate(driver(), schema);
    const tables = await tablesOf(driver(), schema);
    expect(tables).toContain("runs");
    await driver().query(
      `insert into "${schema}".values (key, version, value) values ('kept', 1, 'yes')`,
    );
    await migrate(driver(), schema);
    expect(await tablesOf(driver(), schema)).toEqual(tables);
    const [kept] = await driver().query(`select value from "${schema}".values`);
    expect(kept).toEqual(["yes"]);
  });

  test("of a newer library is refused, and left as it is", async () => {
    const newer = String(schemaVersion + 1);
    await driver().query(`update "${schema}".meta set value = $1::bigint where key = 'schema'`, [
      newer,
    ]);
    await expect(migrate(driver(), schema)).rejects.toMatchObject({
      code: "STORAGE_NEWER",
      details: { schema, found: schemaVersion + 1, known: schemaVersion },
    });
    const [row] = await driver().query(`select value::text from "${schema}".meta`);
    expect(row).toEqual([newer]);
  });
});

describe("the schema on a server", () => {
  const schema = schemaName();
  const role = `${schema}_app`;
  const pools: pg.Pool[] = [];
  const open = (url = inject("postgresUrl")) => {
    const pool = new pg.Pool({ connectionString: url, max: 1 });
    pools.push(pool);
    return new PgDriver(pool, { prepare: true, ownsPool: false });
  };
  let owner: PgDriver;

  beforeAll(() => {
    owner = open();
  });

  afterAll(async () => {
    await owner.script(`drop schema if exists "${schema}" cascade; drop role if exists "${role}"`);
    await Promise.all(pools.map((pool) => pool.end()));
  });

  test("is made once by ten that start at the same time", async () => {
    await Promise.all(Array.from({ length: 10 }, () => migrate(open(), schema)));
    const versions = await owner.query(`select key, value::text from "${schema}".meta`);
    expect(versions).toEqual([["schema", String(schemaVersion)]]);
  });

  test("is made by a person from the printed statements, and then nothing is left to do", async () => {
    const byHand = `${schema}_hand`;
    await owner.script(migrationScript(byHand));
    await migrate(owner, byHand);
    expect(await tablesOf(owner, byHand)).toEqual(await tablesOf(owner, schema));
    await owner.script(`drop schema "${byHand}" cascade`);
  });

  test("once it is there, a role without the right to make tables will do", async () => {
    await owner.script(
      `create role "${role}" login; grant usage on schema "${schema}" to "${role}";` +
        `grant select, insert, update, delete on all tables in schema "${schema}" to "${role}"`,
    );
    const url = new URL(inject("postgresUrl"));
    url.username = role;
    const app = open(url.href);
    await migrate(app, schema);
    await expect(app.query(`create table "${schema}".more (a text)`)).rejects.toThrow("permission");
  });
});

describe("the name of the schema", () => {
  test.each(["pawl", "_a1", "a".repeat(31)])("may be %s", (name) => {
    expect(checkedSchemaName(name)).toBe(name);
  });

  test("is pawl if none is given", () => {
    expect(checkedSchemaName()).toBe("pawl");
  });

  test.each([
    "",
    "Pawl",
    "1a",
    'a"; drop schema public; --',
    "a-b",
    "a".repeat(32),
    "pg_a",
    7,
    null,
  ])("may not be %j", (name) => {
    expect(() => checkedSchemaName(name)).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID" }),
    );
  });
});
