// `npm run test:kill -- --cycles 1000`; other arguments go to vitest.
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values, tokens } = parseArgs({
  options: { cycles: { type: "string" } },
  strict: false,
  tokens: true,
});
if (values.cycles !== undefined && !(Number(values.cycles) > 0)) {
  throw new Error("--cycles needs a number, such as --cycles 1000.");
}
const own = new Set();
for (const token of tokens) {
  if (token.kind !== "option" || token.name !== "cycles") continue;
  own.add(token.index);
  if (!token.inlineValue) own.add(token.index + 1);
}
const others = process.argv.slice(2).filter((_, index) => !own.has(index));
const cycles = values.cycles ?? process.env.PAWL_KILL_CYCLES ?? "100";
const { status } = spawnSync("npx", ["vitest", "run", "--project", "kill", ...others], {
  stdio: "inherit",
  env: { ...process.env, PAWL_KILL_CYCLES: String(cycles) },
});
process.exitCode = status ?? 1;
