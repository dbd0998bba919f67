// An order's row and the event that tells of it, in one transaction of Drizzle: both are there, or neither is.
// No outbox table and no poller: Pawl's event lies in the same database. DATABASE_URL names the server.
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { pgSchema, text } from "drizzle-orm/pg-core";
import { createClient, eventTrigger } from "pawl";
import { postgres } from "pawl/postgres";
import pg from "pg";

const url = process.env.DATABASE_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";
const name = `outbox_${process.pid}`;

const pool = new pg.Pool({ connectionString: url, max: 6 });
const db = drizzle(pool);
const orders = pgSchema(name).table("orders", { id: text().primaryKey(), item: text().notNull() });
await db.execute(sql.raw(`create schema ${name}`));
await db.execute(sql.raw(`create table ${name}.orders (id text primary key, item text not null)`));

type Tx = Parameters<Parameters<typeof db.transaction>[0]>[0];

/** A statement of Pawl's, `$1` and all, as Drizzle takes it. */
function statement(query: string, values: (string | null)[]) {
  const parts = query.split(/\$(\d+)/);
  return sql.join(
    parts.map((part, index) =>
      index % 2 === 0 ? sql.raw(part) : sql`${sql.param(values[Number(part) - 1])}`,
    ),
  );
}

const client = createClient({
  storage: postgres({
    client: pool,
    schema: `${name}_pawl`,
    transactions: {
      begin: (work: (tx: Tx) => Promise<void>) => db.transaction(work),
      query: async (tx, query, values) => (await tx.execute(statement(query, values))).rows,
    },
  }),
});

client.defineJob({
  id: "confirm",
  trigger: eventTrigger({ name: "order.placed" }),
  run: (order: unknown, io) =>
    io.runTask("mail", async () => {
      const { id } = order as { id: string };
      const rows = await db.select().from(orders).where(sql`${orders.id} = ${id}`);
      console.log(`mail for ${id}: ${rows.map(({ item }) => item)}`);
    }),
});

/** A route of the application, say. */
async function place(id: string, item: string): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.insert(orders).values({ id, item });
    await client.withTransaction(tx).sendEvent({ name: "order.placed", id, payload: { id } });
    if (item === "moon") throw new Error("the moon is not for sale");
  });
}

await place("o-1", "pen");
await place("o-2", "moon").catch((error: Error) => console.log(`o-2: ${error.message}`));
await place("o-3", "ink");
await client.drain();

const placed = await db.select().from(orders).orderBy(orders.id);
console.log(`orders: ${placed.map(({ id }) => id).join(", ")}`);
console.log(`event of o-2: ${(await client.getEvent("o-2"))?.id ?? "none"}`);

await client.stop();
await db.execute(sql.raw(`drop schema ${name} cascade`));
await db.execute(sql.raw(`drop schema ${name}_pawl cascade`));
await pool.end();
