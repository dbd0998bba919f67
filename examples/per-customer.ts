// What one customer does holds up no other: limits that count by customer.
import { createClient, invokeTrigger, isPawlError } from "pawl";
import { memory } from "pawl/memory";
import { z } from "zod";

const client = createClient({ storage: memory() });
const ofCustomer = z.object({ customer: z.string(), n: z.number() });
const byCustomer = (payload: { customer: string }) => payload.customer;
const working = new Map<string, number>();
let most = 0;

const convert = client.defineJob({
  id: "convert",
  trigger: invokeTrigger({ schema: ofCustomer }),
  concurrencyLimit: { limit: 1, key: byCustomer },
  run: async ({ customer }, io) => {
    await io.runTask("convert", async () => {
      working.set(customer, (working.get(customer) ?? 0) + 1);
      most = Math.max(most, working.get(customer) ?? 0);
      await new Promise((resolve) => setTimeout(resolve, 10));
      working.set(customer, (working.get(customer) ?? 0) - 1);
    });
  },
});

const report = client.defineJob({
  id: "report",
  trigger: invokeTrigger({ schema: ofCustomer }),
  rateLimit: { limit: 2, period: "1d", key: byCustomer },
  run: async () => "sent",
});

const sync = client.defineJob({
  id: "sync",
  trigger: invokeTrigger({ schema: ofCustomer }),
  singleton: { mode: "join", key: byCustomer },
  run: async (_payload, io) => io.wait("all day", "1d"),
});

await client.start();
const runs = [];
for (const customer of ["ada", "ada", "ada", "bob"])
  runs.push(await client.invoke(convert, { customer, n: runs.length }));
for (const run of runs) await client.waitForRun(run);
console.log(`${runs.length} conversions, at most ${most} at a time for one customer`);

for (const n of [1, 2, 3]) {
  try {
    await client.invoke(report, { customer: "ada", n });
  } catch (error) {
    if (!isPawlError(error, "RATE_LIMITED")) throw error;
    console.log(`report ${n} of ada: ${error.code}`);
  }
}
await client.invoke(report, { customer: "bob", n: 1 });

const first = await client.invoke(sync, { customer: "ada", n: 1 });
const second = await client.invoke(sync, { customer: "ada", n: 2 });
console.log(`a second sync of ada is the first one: ${first.id === second.id}`);
await client.stop();
