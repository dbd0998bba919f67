// Runs the simulation: `--seeds N` of them, from `--from F` on, or one `--seed S` with all that
// happened in it. Other arguments go to vitest, which would not take these.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
const names = { "--seeds": "PAWL_SIM_SEEDS", "--from": "PAWL_SIM_FROM", "--seed": "PAWL_SIM_SEED" };
const env = { ...process.env };
const rest = [];
const given = process.argv.slice(2).flatMap((text) => text.split("=", 2));

for (let index = 0; index < given.length; index++) {
  const name = names[given[index]];
  if (name === undefined) {
    rest.push(given[index]);
    continue;
  }
  const value = given[++index];
  if (!/^\d+$/.test(value ?? "")) {
    console.error(`${given[index - 1]} needs a whole number, got ${value ?? "nothing"}.`);
    process.exit(1);
  }
  env[name] = value;
}
if (env.PAWL_SIM_SEED !== undefined) rest.unshift("test/sim/simulation.test.ts");

const child = spawn(process.execPath, [vitest, "run", "--project", "sim", ...rest], {
  stdio: "inherit",
  env,
});
child.on("exit", (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1;
});
