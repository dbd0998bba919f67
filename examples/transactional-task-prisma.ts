// A task that books an order through Prisma, in one commit with its own record: booked once, whatever dies when.
// DATABASE_URL names the server.
import { createClient, invokeTrigger } from "pawl";
import { postgres } from "pawl/postgres";
import pg from "pg";
import { type PrismaTransaction, prismaClient } from "./prisma/client.js";

const url = process.env.DATABASE_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";
const name = `books_${process.pid}`;

const pool = new pg.Pool({ connectionString: url, max: 6 });
await pool.query(`create schema ${name}`);
await pool.query(`create table ${name}.orders (id text primary key, amount integer not null)`);
const prisma = await prismaClient(url, name, "prisma-example");

const client = createClient({
  storage: postgres({
    client: pool,
    schema: `${name}_pawl`,
    transactions: {
      begin: (work: (tx: PrismaTransaction) => Promise<void>) => prisma.$transaction(work),
      query: (tx, text, values) => tx.$queryRawUnsafe(text, ...values),
    },
  }),
});

const book = client.defineJob({
  id: "book",
  trigger: invokeTrigger(),
  run: async (order: { id: string; amount: number }, io) => {
    await io.runTask(
      "book",
      async (task, _io, tx) => {
        await tx.order.create({ data: order });
        console.log(`${order.id}, attempt ${task.attempt}`);
        // What this attempt has written is rolled back; without the transaction the next one would meet its row.
        if (task.attempt === 1) throw new Error("the process might as well have died here");
      },
      { transaction: true, retry: { limit: 2, minTimeoutInMs: 1 } },
    );
    await io.wait("a-moment", "10ms");
    return `${order.id} is booked`;
  },
});

await client.start();
const run = await client.invoke(book, { id: "o-1", amount: 3 });
console.log((await client.waitForRun(run)).output);
const { rows } = await pool.query(`select id, amount from ${name}.orders`);
console.log(rows);

await client.stop();
await prisma.$disconnect();
await pool.query(`drop schema ${name} cascade`);
await pool.query(`drop schema ${name}_pawl cascade`);
await pool.end();
