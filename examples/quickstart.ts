// Some thousand orders, a payment service that fails now and then, and a kill in the middle.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient, finalStatuses } from "pawl";
import { sqlite } from "pawl/sqlite";
import { readLedger } from "./quickstart/ledger.js";
import { orderPlaced, readOrders } from "./quickstart/orders.js";
import { PaymentService } from "./quickstart/payments.js";
import { begunTwice, counts, done, recordedBy, running } from "./quickstart/report.js";

const TASKS_PER_ORDER = 4;
const folder = mkdtempSync(join(tmpdir(), "pawl-quickstart-"));
const database = join(folder, "shop.db");
const ledger = join(folder, "ledger.txt");

// 1. Read the shop's export and check it.
const { lines, valid, problems } = readOrders(new URL("quickstart/orders.csv", import.meta.url));
say(`${lines} lines read, ${valid.length} valid, ${problems.length} refused:`);
for (const problem of problems) console.log(`         ${problem}`);

// 2. Start a worker in a process of its own, and send an event per order.
const payments = new PaymentService();
const paymentUrl = await payments.start();
const killed = await startWorker();
const client = createClient({ id: "import", storage: sqlite(database) });
const sent = await client.sendEvents(
  valid.map((order) => ({ name: orderPlaced, id: order.orderId, payload: order })),
);
const orders = new Set(sent.flatMap((event) => event.runIds)).size;
say(`${orders} runs triggered; an order that stands in the file twice has one run`);

// 3. Half-way and in the middle of something, kill the worker without a warning.
await progress(killed, () => {
  const lines = readLedger(ledger);
  return done(lines) >= (orders * TASKS_PER_ORDER) / 2 && running(lines) > 0;
});
killed.kill("SIGKILL");
await once(killed, "exit");
const killedAt = new Date();
const before = readLedger(ledger);
say(`worker ${killed.pid} killed with SIGKILL`);

// 4. A new process goes on where the old one was.
const worker = await startWorker();
await progress(worker, async () => {
  const { runs } = await client.stats();
  return Object.keys(runs).every((status) => (finalStatuses as readonly string[]).includes(status));
});
worker.kill("SIGTERM");
await once(worker, "exit");

// 5. What happened, by the store and by the ledger.
const all = readLedger(ledger);
const twice = begunTwice(all);
const recorded = await recordedBy(client, twice, killedAt);
const { runs } = await client.stats();
console.log(`
runs by status               ${counts(runs)}
tasks done before the kill   ${done(before)}
tasks running at the kill    ${running(before)}
tasks done after the kill    ${done(all.slice(before.length))}
tasks executed twice         ${twice.length}, of which ${recorded} had been recorded before the kill
payment service              ${payments.summary}

Look further: npx pawl runs --storage ${database}`);
payments.stop();
await client.stop();
// Each order is a run and a child run. Whatever else this shows would be a bug of Pawl.
if (runs.COMPLETED !== 2 * orders || recorded > 0) process.exitCode = 1;

async function startWorker(): Promise<ChildProcess> {
  const path = fileURLToPath(new URL("quickstart/worker.ts", import.meta.url));
  const child = fork(path, [database, ledger, paymentUrl]);
  await once(child, "message");
  say(`worker ${child.pid} started`);
  return child;
}

/** Shows how it goes, until it is done. */
async function progress(
  worker: ChildProcess,
  isDone: () => boolean | Promise<boolean>,
): Promise<void> {
  for (let look = 0; !(await isDone()); look++) {
    if (worker.exitCode !== null) throw new Error(`Worker ${worker.pid} ended by itself.`);
    if (look > 3_000) throw new Error("No end after five minutes.");
    if (look % 10 === 0) {
      const { runs } = await client.stats();
      say(`${done(readLedger(ledger))} tasks done; runs: ${counts(runs)}`);
    }
    await pause(100);
  }
}

function say(text: string): void {
  console.log(`${performance.now().toFixed(0).padStart(6)} ms  ${text}`);
}
