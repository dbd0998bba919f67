// A process of the rig that executes jobs until it is killed.
import { createClient } from "pawl";
import type { Storage } from "pawl/adapter-kit";
import { rigJobs } from "./jobs.js";
import { LedgerWriter } from "./ledger.js";
import { leaseMsOf, openStore } from "./store.js";

const TICK_MS = 20;

const [address = "", ledgerPath = "", maxParked = "1000"] = process.argv.slice(2);
const leaseMs = leaseMsOf(address);
const ledger = new LedgerWriter(ledgerPath);
const client = createClient({
  storage: withSlowCalls(openStore(address)),
  jobs: rigJobs(ledger),
  leaseMs,
  pollMs: 100,
  concurrency: 8,
  maxParked: Number(maxParked),
});
await client.start();
process.once("SIGTERM", () => void client.stop().then(() => process.exit()));
process.once("disconnect", () => process.exit());
process.send?.("started");

// A worker that does not get the processor loses its lease like one that is dead.
let last = performance.now();
setInterval(() => {
  const now = performance.now();
  const stalled = now - last - TICK_MS;
  last = now;
  if (stalled > leaseMs / 3) ledger.write("stall", process.pid, Math.round(stalled));
}, TICK_MS);

/** A lease is renewed after a third of it, and by a commit that may have to wait for the one before. */
function withSlowCalls(storage: Storage): Storage {
  const commit: Storage["commit"] = async (writes) => {
    const since = performance.now();
    try {
      return await storage.commit(writes);
    } finally {
      const tookMs = Math.round(performance.now() - since);
      if (tookMs > leaseMs / 3) ledger.write("slow", process.pid, tookMs);
    }
  };
  return new Proxy(storage, {
    get(target, name) {
      const value: unknown = name === "commit" ? commit : Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
