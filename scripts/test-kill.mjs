// `npm run test:kill -- --cycles 1000 --races 2000`; other arguments go to vitest.
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values, tokens } = parseArgs({
  options: { cycles: { type: "string" }, races: { type: "string" } },
  strict: false,
  tokens: true,
});
const isOwn = (name) => name === "cycles" || name === "races";
for (const [name, value] of Object.entries(values)) {
  if (isOwn(name) && !(Number(value) > 0))
    throw new Error(`--${name} needs a number, such as --${name} 1000.`);
}
const own = new Set();
for (const token of tokens) {
  if (token.kind !== "option" || !isOwn(token.name)) continue;
  own.add(token.index);
  if (!token.inlineValue) own.add(token.index + 1);
}
const others = process.argv.slice(2).filter((_, index) => !own.has(index));
const cycles = values.cycles ?? process.env.PAWL_KILL_CYCLES ?? "100";
const races = values.races ?? process.env.PAWL_KILL_RACES ?? "180";
const { status } = spawnSync("npx", ["vitest", "run", "--project", "kill", ...others], {
  stdio: "inherit",
  env: { ...process.env, PAWL_KILL_CYCLES: String(cycles), PAWL_KILL_RACES: String(races) },
});
process.exitCode = status ?? 1;
