// A document is saved over and over; its index is made once, when the author pauses.
import { createClient, defineEvent, eventTrigger } from "pawl";
import { memory } from "pawl/memory";
import { z } from "zod";

const saved = defineEvent({
  name: "document.saved",
  schema: z.object({ documentId: z.string(), version: z.number() }),
});

const client = createClient({ storage: memory() });
const made: string[] = [];

client.defineJob({
  id: "index",
  trigger: eventTrigger(saved),
  debounce: { period: 0.3, maxDelay: "10s", key: ({ documentId }) => documentId },
  run: async ({ documentId, version }, io) => {
    await io.runTask("index", () => made.push(`${documentId} in version ${version}`));
  },
});

await client.start();
const saves = [1, 2, 3, 4, 5].flatMap((version) => [
  { name: saved, payload: { documentId: "letter", version } },
  { name: saved, payload: { documentId: "poem", version: version * 10 } },
]);
await client.sendEvents(saves);

while (made.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
console.log(made.sort());
const { runs } = await client.getRuns({ jobId: "index", status: "CANCELED" });
console.log(`${runs.length} saves gave way to a later one`);
await client.stop();
