// A process of the rig that executes jobs until it is killed.
import { createClient } from "pawl";
import { rigJobs } from "./jobs.js";
import { LedgerWriter } from "./ledger.js";
import { openStore } from "./store.js";

const leaseMs = 500;
const TICK_MS = 20;

const [address = "", ledgerPath = "", maxParked = "1000"] = process.argv.slice(2);
const ledger = new LedgerWriter(ledgerPath);
const client = createClient({
  storage: openStore(address),
  jobs: rigJobs(ledger),
  leaseMs,
  pollMs: 100,
  concurrency: 4,
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
