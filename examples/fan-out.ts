// Many items at a time in one run, and many child runs that any worker may execute.
import { createClient, invokeTrigger } from "pawl";
import { memory } from "pawl/memory";

const client = createClient({ storage: memory() });

const resize = client.defineJob({
  id: "resize",
  trigger: invokeTrigger(),
  run: (image: { name: string }, io) => io.runTask("resize", () => `${image.name}-small`),
});

const album = client.defineJob({
  id: "album",
  trigger: invokeTrigger(),
  run: async (names: string[], io) => {
    // Each item is a task of its own. The keys inside belong to the item.
    const sizes = await io.parallel(
      "measure",
      names,
      (name, _, itemIo) => itemIo.runTask("size", () => name.length),
      { concurrency: 2, keyBy: (name) => name },
    );
    const items = names.map((name) => ({ payload: { name } }));
    const results = await io.batchInvokeAndWait("resize-all", resize, items);
    const small = results.map((result) => (result.ok ? result.output : result.error.message));
    return { sizes, small };
  },
});

await client.start();
const run = await client.invoke(album, ["sea", "forest", "city"]);
console.log((await client.waitForRun(run)).output);
await client.stop();
