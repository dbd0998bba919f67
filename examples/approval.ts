// A run asks a person, and waits for days if it must; whoever answers first is heard.
import { createClient, invokeTrigger } from "pawl";
import { memory } from "pawl/memory";
import { z } from "zod";

const client = createClient({ storage: memory() });
const inbox: { text: string; tokenId: string }[] = [];

const purchase = client.defineJob({
  id: "purchase",
  trigger: invokeTrigger({ schema: z.object({ item: z.string(), price: z.number() }) }),
  run: async ({ item, price }, io) => {
    const approval = await io.createToken<{ by: string; ok: boolean }>("approval", {
      timeout: "7d",
    });
    await io.runTask("ask", () => {
      inbox.push({ text: `${item} for ${price}?`, tokenId: approval.id });
    });
    const { by, ok } = await io.waitForToken("answer", approval);
    return ok ? `${by} bought ${item}` : `${by} said no`;
  },
});

await client.start();
const run = await client.invoke(purchase, { item: "a plotter", price: 900 });
while ((await client.getRun(run))?.status !== "WAITING") await new Promise(setImmediate);

// Somewhere else: the page behind the link in the mail.
const [question] = inbox;
console.log(question?.text);
console.log(await client.completeToken(question?.tokenId ?? "", { by: "Ada", ok: true }));
console.log(await client.completeToken(question?.tokenId ?? "", { by: "Bob", ok: false }));

const { status, output } = await client.waitForRun(run);
console.log(status, output);
await client.stop();
