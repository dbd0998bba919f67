// The same key makes one run, however often and from wherever it is asked for.
import { createClient, invokeTrigger, isPawlError } from "pawl";
import { memory } from "pawl/memory";

const client = createClient({ storage: memory() });

const ship = client.defineJob({
  id: "ship",
  trigger: invokeTrigger(),
  run: async (order: { id: string; weight: number }, io) => {
    // Hand the task's own key to a service that knows such keys: it is the same in every attempt.
    return io.runTask(
      "label",
      (task) => `label for ${order.id}, key ${task.idempotencyKey !== ""}`,
    );
  },
});

await client.start();
const order = { id: "o-1", weight: 2 };
const once = await client.invoke(ship, order, { idempotencyKey: order.id });
const twice = await client.invoke(ship, order, { idempotencyKey: order.id });
console.log(once.id === twice.id ? "one run" : "two runs");
console.log((await client.waitForRun(once)).output);

try {
  await client.invoke(ship, { id: "o-1", weight: 3 }, { idempotencyKey: order.id });
} catch (error) {
  console.log(isPawlError(error, "IDEMPOTENCY_CONFLICT") ? error.code : error);
}
await client.stop();
