// A process of the races that executes the runs that wait.
import { createClient } from "pawl";
import { LedgerWriter } from "./ledger.js";
import { isRegistration, waiterApartMs, waitingJobs, withNotes } from "./race-jobs.js";
import { isServer, openStore } from "./store.js";

const [address = "", ledgerPath = "", maxParked = "1000"] = process.argv.slice(2);
const ledger = new LedgerWriter(ledgerPath);
const races = new Map<string, number>();
const client = createClient({
  storage: withNotes(openStore(address), (write, from, to) => {
    const n = races.get(write.runId);
    if (n !== undefined && isRegistration(write))
      ledger.write("registered", process.pid, n, from, to);
  }),
  jobs: waitingJobs(
    (n) => process.send?.({ meet: n }),
    (runId, n) => races.set(runId, n),
    waiterApartMs(isServer(address)),
  ),
  pollMs: 100,
  maxParked: Number(maxParked),
});
await client.start();
process.once("SIGTERM", () => void client.stop().then(() => process.exit()));
process.once("disconnect", () => process.exit());
process.send?.("started");
