/** Programs of consumers; each prints `hello world`. */

export const helloMemory = `
import { createClient, invokeTrigger } from "pawl";
import { memory } from "pawl/memory";

const client = createClient({ id: "hello", storage: memory() });
const hello = client.defineJob({
  id: "hello",
  trigger: invokeTrigger(),
  run: async (payload, io) => {
    const greeting = await io.runTask("greet", () => "hello");
    await io.wait("moment", { milliseconds: 1 });
    return greeting + " " + payload;
  },
});

async function main() {
  await client.start();
  const run = await client.waitForRun(await client.invoke(hello, "world"));
  console.log(run.output ?? run.error);
  await client.stop();
}
main();
`;

export const helloSqlite = helloMemory
  .replace('import { memory } from "pawl/memory";', 'import { sqlite } from "pawl/sqlite";')
  .replace("memory()", 'sqlite("hello.db")');

export function helloPostgres(url: string): string {
  return helloMemory
    .replace('import { memory } from "pawl/memory";', 'import { postgres } from "pawl/postgres";')
    .replace(
      "memory()",
      `postgres({ url: ${JSON.stringify(url)}, schema: "pawl_test_hello_" + process.pid })`,
    );
}

/** The same program for CommonJS. */
export function asCommonJs(program: string): string {
  return program.replace(/import (\{.*?\}) from (".*?");/g, "const $1 = require($2);");
}

export const entryPoints = [
  "pawl",
  "pawl/memory",
  "pawl/sqlite",
  "pawl/postgres",
  "pawl/testing",
  "pawl/adapter-kit",
  "pawl/safe-fetch",
] as const;

/** Each needs the SDK of its service, which is a peer. */
export const integrations = [
  { entry: "pawl/integrations/slack", peer: "@slack/web-api" },
  { entry: "pawl/integrations/openai", peer: "openai" },
] as const;
