// A process with a job that ticks every second, and nothing else to do.
import { createClient, defineJob, intervalTrigger } from "pawl";
import { LedgerWriter } from "./ledger.js";
import { leaseMsOf, openStore } from "./store.js";

const [address = "", ledgerPath = ""] = process.argv.slice(2);
const ledger = new LedgerWriter(ledgerPath);
const tick = defineJob({
  id: "tick",
  trigger: intervalTrigger({ seconds: 1, catchUp: "all" }),
  run: async ({ ts }, io) => {
    await io.runTask("note", () => ledger.write("tick", process.pid, ts.getTime()));
  },
});
const client = createClient({
  storage: openStore(address),
  jobs: [tick],
  leaseMs: leaseMsOf(address),
  pollMs: 100,
});
await client.start();
process.once("SIGTERM", () => void client.stop().then(() => process.exit()));
process.once("disconnect", () => process.exit());
process.send?.("started");
