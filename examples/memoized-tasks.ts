// A task runs once. A run that goes on after a wait gets the remembered result, and does not call it again.
import { createClient, invokeTrigger } from "pawl";
import { memory } from "pawl/memory";

// maxParked 0: nothing of a waiting run stays in memory, so each wait is followed by a replay.
const client = createClient({ storage: memory(), maxParked: 0 });

const report = client.defineJob({
  id: "report",
  trigger: invokeTrigger(),
  run: async (_, io) => {
    console.log("run() begins");
    const figure = await io.runTask("measure", () => {
      console.log("measuring");
      return Math.random();
    });
    await io.wait("think", 1);
    const again = await io.runTask("compare", () => figure);
    return figure === again ? "the same figure" : "another figure";
  },
});

await client.start();
const run = await client.invoke(report, {});
console.log((await client.waitForRun(run)).output);
await client.stop();
