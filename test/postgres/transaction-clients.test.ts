import { PGlite } from "@electric-sql/pglite";
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { pgSchema, text } from "drizzle-orm/pg-core";
import { CompiledQuery, Kysely, PostgresDialect } from "kysely";
import { eventTrigger, type Storage } from "pawl";
import { postgres } from "pawl/postgres";
import postgresJs from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type PrismaTransaction, prismaClient } from "../../examples/prisma/client.js";
import { Shop, transaction } from "./transaction-shop.js";

let shop: Shop;

beforeEach(async () => {
  shop = await new Shop().open();
});

afterEach(() => shop.close());

/** One library: how the application writes through it. */
interface Library<Tx> {
  readonly storage: Storage<Tx>;
  insert(tx: Tx, id: string): Promise<unknown>;
  /** Opens a transaction as the application does. */
  begin(work: (tx: Tx) => Promise<void>): Promise<unknown>;
  orders?(): Promise<string[]>;
  /** There is one connection: whoever else asks waits for the end of the transaction. */
  readonly isAlone?: boolean;
}

/** The same for each: what commits is there, what rolls back is not, for rows, records, runs and events. */
async function check<Tx>(library: Library<Tx>) {
  const { storage, insert, begin, orders = () => shop.orders(), isAlone = false } = library;
  const heard: string[] = [];
  const { client, job, troubles } = shop.client(storage, async (io, id) => {
    await io.runTask("book", async (_task, _io, tx) => void (await insert(tx, `kept ${id}`)), {
      transaction: true,
    });
    return io
      .runTask(
        "fail",
        async (_task, _io, tx) => {
          await insert(tx, `gone ${id}`);
          throw new Error("no");
        },
        transaction,
      )
      .catch((error: Error) => error.message);
  });
  client.defineJob({
    id: "hears",
    trigger: eventTrigger({ name: "ordered" }),
    run: (_payload, _io, { event }) => void heard.push(event.id),
  });
  const { id } = await client.invoke(job, undefined);
  await client.drain();
  expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: "no" });
  expect(await orders()).toEqual([`kept ${id}`]);

  const made: string[] = [];
  await begin(async (tx) => {
    await insert(tx, "ordered");
    const inside = client.withTransaction(tx);
    made.push((await inside.invoke(job, undefined, { idempotencyKey: "one" })).id);
    made.push((await inside.invoke(job, undefined, { idempotencyKey: "one" })).id);
    await inside.sendEvent({ name: "ordered", id: "event" });
    if (isAlone) return;
    await client.drain();
    expect(await client.getRun(made[0] ?? "")).toBeUndefined();
    expect(await client.getEvent("event")).toBeUndefined();
  });
  expect(new Set(made).size).toBe(1);
  await client.drain();
  expect(await client.getRun(made[0] ?? "")).toMatchObject({ status: "COMPLETED" });
  expect(await client.getEvent("event")).toMatchObject({ name: "ordered" });

  const rolledBack = begin(async (tx) => {
    await insert(tx, "gone");
    const inside = client.withTransaction(tx);
    made.push((await inside.invoke(job, undefined)).id);
    await inside.sendEvents([
      { name: "ordered", id: "gone" },
      { name: "ordered", id: "event" },
    ]);
    throw new Error("changed our mind");
  });
  await expect(rolledBack).rejects.toThrow("changed our mind");
  await client.drain();
  expect(await client.getRun(made[2] ?? "")).toBeUndefined();
  expect(await client.getEvent("gone")).toBeUndefined();
  expect(await orders()).not.toContain("gone");
  expect(heard).toEqual(["event"]);
  expect(troubles).toEqual([]);
}

describe("transactions of real libraries", () => {
  test("pg", async () => {
    const pool = shop.pool();
    await check({
      storage: postgres({ client: pool, schema: shop.schema }),
      insert: (tx, id) => tx.query(shop.insert(id)),
      begin: async (work) => {
        const client = await pool.connect();
        try {
          await client.query("begin");
          await work(client);
          await client.query("commit");
        } catch (error) {
          await client.query("rollback");
          throw error;
        } finally {
          client.release();
        }
      },
    });
  });

  test("postgres.js", async () => {
    const sql = shop.using(postgresJs(shop.url, { max: 4, onnotice: () => {} }), (each) =>
      each.end(),
    );
    await check({
      storage: postgres({ client: sql, schema: shop.schema }),
      insert: (tx, id) => tx`insert into ${tx(shop.tables)}.orders (id) values (${id})`,
      begin: (work) => sql.begin(work),
    });
  });

  test("Drizzle", async () => {
    const pool = shop.pool();
    const db = drizzle(pool);
    const orders = pgSchema(shop.tables).table("orders", { id: text().primaryKey() });
    type Tx = Parameters<Parameters<typeof db.transaction>[0]>[0];
    const rawSql = (statement: string, values: (string | null)[]) =>
      drizzleSql.join(
        statement
          .split(/\$(\d+)/)
          .map((part, index) =>
            index % 2 === 0
              ? drizzleSql.raw(part)
              : drizzleSql`${drizzleSql.param(values[Number(part) - 1])}`,
          ),
      );
    await check({
      storage: postgres({
        client: pool,
        schema: shop.schema,
        transactions: {
          begin: (work: (tx: Tx) => Promise<void>) => db.transaction(work),
          query: async (tx, statement, values) =>
            (await tx.execute(rawSql(statement, values))).rows,
        },
      }),
      insert: async (tx, id) => tx.insert(orders).values({ id }),
      begin: (work) => db.transaction(work),
    });
  });

  test("Kysely", async () => {
    const pool = shop.pool();
    const db = new Kysely<{ orders: { id: string } }>({
      dialect: new PostgresDialect({ pool }),
    }).withSchema(shop.tables);
    type Tx = Parameters<Parameters<ReturnType<typeof db.transaction>["execute"]>[0]>[0];
    await check({
      storage: postgres({
        client: pool,
        schema: shop.schema,
        transactions: {
          begin: (work: (tx: Tx) => Promise<void>) => db.transaction().execute(work),
          query: async (tx, statement, values) =>
            (await tx.executeQuery<object>(CompiledQuery.raw(statement, values))).rows,
        },
      }),
      insert: (tx, id) => tx.insertInto("orders").values({ id }).execute(),
      begin: (work) => db.transaction().execute(work),
    });
  });

  test("Prisma", async () => {
    const prisma = shop.using(await prismaClient(shop.url, shop.tables, "prisma"), (each) =>
      each.$disconnect(),
    );
    await check({
      storage: postgres({
        client: shop.pool(),
        schema: shop.schema,
        transactions: {
          begin: (work: (tx: PrismaTransaction) => Promise<void>) => prisma.$transaction(work),
          query: (tx, statement, values) => tx.$queryRawUnsafe(statement, ...values),
        },
      }),
      insert: (tx, id) => tx.order.create({ data: { id } }),
      begin: (work) => prisma.$transaction(work),
    });
  });

  test("PGlite", async () => {
    const database = shop.using(await PGlite.create(), (each) => each.close());
    await database.exec("create table orders (id text primary key)");
    await check({
      storage: postgres({ client: database, schema: shop.schema }),
      insert: (tx, id) => tx.query("insert into orders (id) values ($1)", [id]),
      begin: (work) => database.transaction(work),
      isAlone: true,
      orders: async () => {
        const { rows } = await database.query<{ id: string }>("select id from orders order by id");
        return rows.map(({ id }) => id);
      },
    });
  });
});
