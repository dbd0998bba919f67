import { createClient, invokeTrigger } from "pawl";
import { memory } from "pawl/memory";

const client = createClient({ storage: memory() });

const hello = client.defineJob({
  id: "hello",
  trigger: invokeTrigger(),
  run: async (payload, io) => {
    const greeting = await io.runTask("greet", () => `Hello, ${payload.name}!`);
    await io.wait("a-moment", 1);
    return greeting;
  },
});

await client.start();
const run = await client.invoke(hello, { name: "world" });
const { status, output } = await client.waitForRun(run);
console.log(status, output);
await client.stop();
