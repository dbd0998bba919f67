// The process that executes the jobs. quickstart.ts starts it, kills it, and starts another.
import { createClient } from "pawl";
import { sqlite } from "pawl/sqlite";
import { shopJobs } from "./jobs.js";
import { Ledger } from "./ledger.js";

const [database = "", ledger = "", paymentUrl = ""] = process.argv.slice(2);
const client = createClient({
  id: "shop",
  storage: sqlite(database),
  jobs: shopJobs(new Ledger(ledger), paymentUrl),
  // After this time the runs of a killed worker go on elsewhere. The default is 30 seconds.
  leaseMs: 2_000,
});
await client.start();
process.once("SIGTERM", () => void client.stop());
process.send?.("started");
process.channel?.unref();
