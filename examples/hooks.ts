// Hooks are called at least once, also after a crash. Listeners are for this process only.
import { createClient, invokeTrigger } from "pawl";
import { memory } from "pawl/memory";

const client = createClient({ storage: memory() });
const told: string[] = [];

const check = client.defineJob({
  id: "check",
  trigger: invokeTrigger(),
  onStart: (run) => told.push(`onStart of ${run.job.id}`),
  onSuccess: (run) => told.push(`onSuccess with ${run.output}`),
  onFailure: (run) => told.push(`onFailure: ${run.error?.message}`),
  run: async (good: boolean, io) => {
    if (!good) throw new Error("not good");
    return io.runTask("look", () => "fine");
  },
});

const stopListening = client.on("taskCompleted", ({ path }) => told.push(`task ${path} completed`));
await client.invoke(check, true);
await client.drain();
stopListening();
await client.invoke(check, false);
await client.drain();

for (const line of told) console.log(line);
await client.stop();
