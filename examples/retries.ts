// Retries with growing pauses, errors that end them, and what is left when all attempts have failed.
import { createClient, invokeTrigger, NonRetriableError } from "pawl";
import { memory } from "pawl/memory";

const client = createClient({ storage: memory() });

const pay = client.defineJob({
  id: "pay",
  trigger: invokeTrigger(),
  run: async (_, io) => {
    const receipt = await io.runTask(
      "charge",
      (task) => {
        console.log(`charge, attempt ${task.attempt}`);
        if (task.attempt < 3) throw new Error("The bank is busy.");
        return "receipt 17";
      },
      { retry: { limit: 5, minTimeoutInMs: 100 } },
    );
    try {
      await io.runTask("print", printReceipt, { retry: { limit: 5 } });
    } catch (error) {
      console.log(`not printed: ${(error as Error).message}`);
    }
    return receipt;
  },
});

function printReceipt(): never {
  throw new NonRetriableError("There is no printer.");
}

await client.start();
const run = await client.invoke(pay, {});
const { status, output } = await client.waitForRun(run);
const tasks = (await client.getRun(run, { tasks: true }))?.tasks ?? [];
console.log(status, output);
for (const { key, status, attempts } of tasks) console.log(key, status, attempts.length);
await client.stop();
