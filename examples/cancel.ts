// A canceled run records nothing more; its task learns of it by the signal.
import { setTimeout as pause } from "node:timers/promises";
import { createClient, invokeTrigger } from "pawl";
import { memory } from "pawl/memory";

const client = createClient({ storage: memory() });

const upload = client.defineJob({
  id: "upload",
  trigger: invokeTrigger(),
  onCancel: ({ job }) => console.log(`onCancel of ${job.id}`),
  run: async (_, io) => {
    await io.runTask("send", async (task) => {
      console.log("sending");
      await pause(60_000, undefined, { signal: task.signal }).catch(() => console.log("aborted"));
    });
    console.log("never printed");
  },
});

await client.start();
const run = await client.invoke(upload, {});
await pause(500);
console.log(await client.cancelRun(run));
const { status, error } = await client.waitForRun(run);
console.log(status, error?.message);
console.log(await client.cancelRun(run));
await client.drain();
await client.stop();
