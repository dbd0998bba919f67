// A wait is a row in the database: the process may end, and another one goes on when it is due.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, defineJob, invokeTrigger } from "pawl";
import { sqlite } from "pawl/sqlite";

const file = join(mkdtempSync(join(tmpdir(), "pawl-")), "trial.db");

const trial = defineJob({
  id: "trial",
  trigger: invokeTrigger(),
  run: async (_, io) => {
    await io.runTask("open", () => console.log("trial opened"));
    await io.wait("trial-time", "2s");
    await io.runTask("close", () => console.log("trial closed"));
  },
});

const first = createClient({ id: "app", storage: sqlite(file), jobs: [trial] });
await first.start();
const run = await first.invoke(trial, {});
while ((await first.getRun(run))?.status !== "WAITING") await new Promise(setImmediate);
console.log(await first.explainRun(run));
await first.stop();
console.log("the first client is gone");

const second = createClient({ id: "app", storage: sqlite(file), jobs: [trial] });
await second.start();
console.log((await second.waitForRun(run)).status);
await second.stop();
