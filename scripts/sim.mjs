// Runs the simulation: `--seeds N` of them, from `--from F` on, or one `--seed S` with all that
// happened in it. `--storage postgres` takes a server instead of memory and SQLite. Other arguments go to vitest, which would not take these.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
const names = { "--seeds": "PAWL_SIM_SEEDS", "--from": "PAWL_SIM_FROM", "--seed": "PAWL_SIM_SEED" };
const env = { ...process.env };
const rest = [];
let storage;
const given = process.argv.slice(2).flatMap((text) => text.split("=", 2));

for (let index = 0; index < given.length; index++) {
  if (given[index] === "--storage") {
    storage = given[++index];
    if (storage === "postgres") continue;
    console.error(`--storage knows only postgres, got ${storage ?? "nothing"}.`);
    process.exit(1);
  }
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
if (storage === "postgres") rest.unshift("test/postgres/simulation.test.ts");
else if (env.PAWL_SIM_SEED !== undefined) rest.unshift("test/sim/simulation.test.ts");

const project = storage === "postgres" ? "postgres" : "sim";
const child = spawn(process.execPath, [vitest, "run", "--project", project, ...rest], {
  stdio: "inherit",
  env,
});
child.on("exit", (code, signal) => {
  process.exitCode = signal === null ? (code ?? 1) : 1;
});
