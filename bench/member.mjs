// Another process of a store, forked by fleet.mjs: node member.mjs <system> <store> <concurrency>. It obeys orders.
import { finishes } from "./jobs.mjs";
import { now, shared } from "./measure.mjs";
import { openSystem } from "./open-system.mjs";

const [systemName, store, concurrency] = process.argv.slice(2);
const system = await openSystem(systemName, { store, concurrency: Number(concurrency) });

const orders = {
  /** Sends a run, and says when. */
  async send([job, payload]) {
    const at = shared(now());
    await system.enqueue(job, payload);
    return at;
  },
  /** Executes runs, and says from time to time how many it has. */
  async start() {
    await system.start();
    let told = 0;
    setInterval(() => {
      if (finishes.count === told) return;
      told = finishes.count;
      process.send({ finished: told });
    }, 5);
  },
};

process.on("message", async ([order, ...details]) => {
  // Undefined would not be sent.
  process.send({ answer: (await orders[order](details)) ?? null });
});
process.on("disconnect", () => process.exit());
process.send({ answer: "ready" });
