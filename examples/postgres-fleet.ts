// Three workers and a sender share one Postgres; one worker is killed in the middle, and the others take over.
// DATABASE_URL names the server. Each worker is a process of its own, on as many machines as you like.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient, defineJob, eventTrigger } from "pawl";
import { postgres } from "pawl/postgres";
import pg from "pg";

const url = process.env.DATABASE_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";
const schema = process.env.SHOP_SCHEMA ?? `shop_${process.pid}`;
const ORDERS = 30;

const pool = new pg.Pool({ connectionString: url, max: 6 });
const client = createClient({
  storage: postgres({ client: pool, schema }),
  concurrency: 5,
  // For a quick demonstration: others take over this long after a worker died. The default is 30 seconds.
  leaseMs: 1_000,
});

const ship = defineJob({
  id: "ship",
  trigger: eventTrigger({ name: "order.paid" }),
  run: async (order, io) => {
    await io.runTask("pack", () => pause(20));
    await io.runTask("label", (task) =>
      // A worker may die between the label and its record: the key makes the second one the same.
      pool
        .query(`insert into "${schema}".labels values ($1, $2) on conflict do nothing`, [
          task.idempotencyKey,
          JSON.stringify(order),
        ])
        .then(() => "printed"),
    );
    await io.wait("courier", 0.05);
    await io.runTask("handover", () => pause(20));
  },
});

if (process.env.SHOP_SCHEMA === undefined) await send();
else await work();

async function work(): Promise<void> {
  client.attach(ship);
  await client.start();
  process.send?.("started");
  process.once("SIGTERM", () => client.stop().then(() => process.exit(0)));
}

async function send(): Promise<void> {
  await pool.query(postgres.migrations({ schema }));
  await pool.query(`create table "${schema}".labels (key text primary key, "order" text)`);
  const workers = await Promise.all([startWorker(), startWorker(), startWorker()]);

  const events = Array.from({ length: ORDERS }, (_, n) => ({
    name: "order.paid",
    id: `order-${n}`,
    payload: { n },
  }));
  await client.sendEvents(events);
  await labels(ORDERS / 3);
  workers[0]?.kill("SIGKILL");
  console.log("one of three workers was killed");

  let runs = await client.stats();
  while (runs.runs.COMPLETED !== ORDERS) {
    await pause(50);
    runs = await client.stats();
  }
  console.log(`${await labels(ORDERS)} labels for ${ORDERS} orders`, runs.runs);

  for (const worker of workers) worker.kill("SIGTERM");
  await client.stop();
  await pool.query(`drop schema "${schema}" cascade`);
  await pool.end();
}

async function startWorker(): Promise<ChildProcess> {
  const worker = fork(fileURLToPath(import.meta.url), {
    env: { ...process.env, DATABASE_URL: url, SHOP_SCHEMA: schema },
  });
  await once(worker, "message");
  return worker;
}

/** Waits until there are so many. */
async function labels(count: number): Promise<number> {
  for (;;) {
    const { rows } = await pool.query(`select count(*)::int as n from "${schema}".labels`);
    if (rows[0].n >= count) return rows[0].n;
    await pause(10);
  }
}
