// A worker process is killed in the middle of a task. The next one goes on with that task.
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, defineJob, invokeTrigger } from "pawl";
import { sqlite } from "pawl/sqlite";

const [, script = "", file = join(mkdtempSync(join(tmpdir(), "pawl-")), "app.db")] = process.argv;

const build = defineJob({
  id: "build",
  trigger: invokeTrigger(),
  run: async (_, io, context) => {
    for (const part of ["walls", "roof", "garden"]) {
      await io.runTask(part, () => {
        console.log(`${part}, in execution ${context.run.executionCount}`);
        if (part === "roof" && context.run.executionCount === 1)
          process.kill(process.pid, "SIGKILL");
      });
    }
  },
});

// After leaseMs the runs of a dead worker go on elsewhere. The default is 30 seconds.
const storage = sqlite(file);
const client = createClient({ id: "app", storage, jobs: [build], leaseMs: 1_000 });
if (process.send !== undefined) {
  await client.start();
} else {
  const run = await client.invoke(build, {});
  const [, signal] = await once(fork(script, [file]), "exit");
  console.log(`the worker ended with ${signal}`);
  const worker = fork(script, [file]);
  console.log((await client.waitForRun(run)).status);
  worker.kill();
  await client.stop();
}
