import { setTimeout as pause } from "node:timers/promises";
import { type AnyJob, defineJob, eventTrigger, invokeTrigger } from "pawl";
import { z } from "zod";
import type { Ledger } from "./ledger.js";
import { orderPlaced } from "./orders.js";

/** The jobs of the shop. What they do outside is noted in the ledger. */
export function shopJobs(ledger: Ledger, paymentUrl: string): AnyJob[] {
  const ship = defineJob({
    id: "ship-order",
    trigger: invokeTrigger({ schema: z.object({ orderId: z.string(), country: z.string() }) }),
    run: (parcel, io) =>
      io.runTask("print-label", (task) =>
        ledger.watch(task, async () => {
          await pause(10);
          return `${parcel.country}-${parcel.orderId}`;
        }),
      ),
  });

  const fulfil = defineJob({
    id: "fulfil-order",
    trigger: eventTrigger({ name: orderPlaced }),
    run: async (order, io) => {
      await io.runTask("reserve", (task) => ledger.watch(task, () => pause(10)));
      // Every eighth payment fails at first. The key lets the payment service know a repeated call.
      const paymentId = await io.runTask(
        "charge",
        (task) => ledger.watch(task, () => charge(order.quantity * order.unitPrice, task)),
        { retry: { limit: 5, minTimeoutInMs: 300 }, timeout: "10s" },
      );
      await io.wait("packing", 1);
      const shipped = await io.invokeAndWait("ship", ship, order);
      if (!shipped.ok) throw shipped.error;
      await io.runTask("send-mail", (task) => ledger.watch(task, () => pause(10)));
      return { paymentId, label: shipped.output };
    },
  });

  async function charge(amount: number, task: { idempotencyKey: string; signal: AbortSignal }) {
    const response = await fetch(paymentUrl, {
      method: "POST",
      headers: { "idempotency-key": task.idempotencyKey },
      body: JSON.stringify({ amount }),
      signal: task.signal,
    });
    if (!response.ok) throw new Error(`The payment service answered ${response.status}.`);
    return response.text();
  }

  return [fulfil, ship];
}
