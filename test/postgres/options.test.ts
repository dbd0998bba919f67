import { PGlite } from "@electric-sql/pglite";
import { createClient, invokeTrigger, type Storage } from "pawl";
import { postgres } from "pawl/postgres";
import pg from "pg";
import postgresJs from "postgres";
import { afterAll, describe, expect, inject, test } from "vitest";
import { thrownCode } from "../engine/support.js";
import { schemaName } from "./clients.js";

const url = inject("postgresUrl");
const pool = new pg.Pool({ connectionString: url, max: 5 });
const schemas: string[] = [];
const newSchema = () => {
  const name = schemaName();
  schemas.push(name);
  return name;
};

afterAll(async () => {
  for (const name of schemas) await pool.query(`drop schema if exists "${name}" cascade`);
  await pool.end();
});

async function hello(storage: Storage): Promise<unknown> {
  const client = createClient({ storage });
  const job = client.defineJob({
    id: "hello",
    trigger: invokeTrigger(),
    run: (name, io) => io.runTask("greet", () => `hello ${name}`),
  });
  await client.start();
  const { output, error } = await client.waitForRun(await client.invoke(job, "world"));
  await client.stop();
  return output ?? error;
}

describe("postgres()", () => {
  test("N13: takes a connection string, and ends the connections that it made", async () => {
    const named = new URL(url);
    const name = `pawl ${process.pid}`;
    named.searchParams.set("application_name", name);
    expect(await hello(postgres({ url: named.href, schema: newSchema() }))).toBe("hello world");
    const { rows } = await pool.query(
      "select count(*)::int as n from pg_stat_activity where application_name = $1 and state is not null",
      [name],
    );
    // A backend that was told to end may take a moment.
    expect(rows[0].n).toBeLessThanOrEqual(1);
  });

  test("N13: takes a pool of pg, and leaves it open", async () => {
    expect(await hello(postgres({ client: pool, schema: newSchema() }))).toBe("hello world");
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test("N13: takes an instance of postgres.js, and leaves it open", async () => {
    const sql = postgresJs(url, { max: 5, onnotice: () => {} });
    expect(await hello(postgres({ client: sql, schema: newSchema() }))).toBe("hello world");
    expect([...(await sql`select 1 as one`)]).toEqual([{ one: 1 }]);
    await sql.end();
  });

  test("N13: takes a PGlite, and leaves it open", async () => {
    const database = await PGlite.create();
    expect(await hello(postgres({ client: database }))).toBe("hello world");
    expect((await database.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await database.close();
  });

  test("works without prepared statements and notifications, as behind a pooler", async () => {
    const storage = postgres({ client: pool, schema: newSchema(), prepare: false });
    expect(storage.subscribe).toBeUndefined();
    expect(await hello(storage)).toBe("hello world");
  });

  test("two clients with one schema in one process share its connections and statements", async () => {
    const schema = newSchema();
    const both = [postgres({ client: pool, schema }), postgres({ client: pool, schema })];
    expect(await Promise.all(both.map(hello))).toEqual(["hello world", "hello world"]);
  });

  test("many adapters on one pool, one after the other, leave no more listeners there than one", () => {
    const shared = new pg.Pool({ connectionString: url });
    const listeners = () =>
      ["error", "connect"].map((event) => shared.listenerCount(event as "error" | "connect"));
    postgres({ client: shared });
    const before = listeners();
    for (let n = 0; n < 20; n++) postgres({ client: shared });
    expect(listeners()).toEqual(before);
  });

  test.each([
    ["neither", {}],
    ["both", { url, client: pool }],
    ["another database", { url: "mysql://localhost/shop" }],
    ["a single connection", { client: new pg.Client() }],
    ["something else", { client: {} }],
    ["a schema that needs quotes", { url, schema: 'a"; drop table users; --' }],
    ["no connections", { url, maxConnections: 0 }],
    ["prepare as a text", { url, prepare: "no" }],
    ["notify as a text", { url, notify: "no" }],
  ])("refuses %s at once", (_, options) => {
    expect(thrownCode(() => postgres(options as never))).toBe("OPTION_INVALID");
  });

  test("refuses an option that it does not know", () => {
    expect(thrownCode(() => postgres({ url, pool: 3 } as never))).toBe("OPTION_UNKNOWN");
  });

  test("does not show a password", () => {
    try {
      postgres({ url: "shop:secret@db" });
    } catch (error) {
      expect(String(error)).not.toContain("secret");
    }
  });

  test("says what is wrong where the server is not there", async () => {
    const client = createClient({ storage: postgres("postgres://127.0.0.1:1/shop") });
    await expect(client.start()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      details: { schema: "pawl", driver: "pg" },
    });
  });

  test("migrations() prints what an administrator runs", async () => {
    const schema = newSchema();
    await pool.query(postgres.migrations({ schema }));
    expect(await hello(postgres({ client: pool, schema }))).toBe("hello world");
    expect(thrownCode(() => postgres.migrations({ schema: "A" }))).toBe("OPTION_INVALID");
  });
});
