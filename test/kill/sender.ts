// A process of the rig that starts runs, one after the other, and may be killed, too.
import { createClient, isPawlError } from "pawl";
import { jobOf, payloadOf, rigJobs } from "./jobs.js";
import { LedgerWriter } from "./ledger.js";
import { openStore } from "./store.js";

const [address = "", ledgerPath = "", acknowledged = "0"] = process.argv.slice(2);
const ledger = new LedgerWriter(ledgerPath);
const client = createClient({ storage: openStore(address, "little"), jobs: rigJobs(ledger) });
let next = Number(acknowledged);
let target = next;
let sending = false;

process.on("message", (message) => {
  target = Number(message);
  if (!sending) void send();
});
process.once("SIGTERM", () => void client.stop().then(() => process.exit()));
process.once("disconnect", () => process.exit());
process.send?.("started");

async function send(): Promise<void> {
  sending = true;
  while (next < target) {
    // The last call of a killed sender may have been stored without an answer: the key finds its run.
    try {
      const run = await client.invoke(jobOf(next), payloadOf(next), {
        idempotencyKey: `run-${next}`,
      });
      ledger.write("ack", process.pid, run.id);
    } catch (error) {
      if (!isPawlError(error, "RUN_SKIPPED")) throw error;
      ledger.write("skip", process.pid, next);
    }
    next++;
  }
  sending = false;
}
