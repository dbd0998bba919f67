// A run collects events: those that came before it looked, and those that come later.
import { createClient, defineEvent, eventTrigger } from "pawl";
import { memory } from "pawl/memory";
import { z } from "zod";

const client = createClient({ storage: memory() });

const placed = defineEvent({
  name: "order.placed",
  schema: z.object({ orderId: z.string(), parcels: z.number() }),
});
const delivered = defineEvent({
  name: "parcel.delivered",
  schema: z.object({ orderId: z.string(), parcel: z.number() }),
});

client.defineJob({
  id: "follow-order",
  trigger: eventTrigger({ name: placed, filter: { parcels: [{ $gt: 0 }] } }),
  run: async ({ orderId, parcels }, io) => {
    const came: number[] = [];
    for (let n = 0; n < parcels; n++) {
      const wait = { name: delivered, filter: { orderId: [orderId] } };
      const { payload } = await io.waitForEvent(["parcel", n], wait, { timeout: "14d" });
      came.push(payload.parcel);
    }
    return `${orderId}: ${came.join(", ")}`;
  },
});

await client.start();
const { runIds } = await client.sendEvent({
  name: placed,
  payload: { orderId: "o-1", parcels: 3 },
});
for (const [orderId, parcel] of [
  ["o-1", 2],
  ["o-2", 1],
  ["o-1", 1],
  ["o-1", 3],
] as const) {
  await client.sendEvent({ name: delivered, payload: { orderId, parcel } });
}
console.log((await client.waitForRun(runIds[0] ?? "")).output);
const empty = await client.sendEvent({ name: placed, payload: { orderId: "o-3", parcels: 0 } });
console.log(empty.runIds.length, "runs for an order without parcels");
await client.stop();
