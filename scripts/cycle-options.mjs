// Options of the scripts that run tests for longer than CI has time for: "--cycles 1000" becomes PAWL_KILL_CYCLES=1000.
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

/**
 * @param options by name: the variable that tells the tests, what it is by default, and which values fit
 * @param args for vitest, before those that are no options of this script
 */
export function runTests(options, args) {
  const names = Object.keys(options);
  const { values, tokens } = parseArgs({
    options: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
    strict: false,
    tokens: true,
  });
  const env = { ...process.env };
  const own = new Set();
  for (const token of tokens) {
    if (token.kind !== "option" || !names.includes(token.name)) continue;
    own.add(token.index);
    if (!token.inlineValue) own.add(token.index + 1);
  }
  for (const [name, { variable, usual, fits, example }] of Object.entries(options)) {
    const value = values[name] ?? env[variable] ?? usual;
    if (!fits(value))
      throw new Error(`--${name} ${value} does not fit. Write --${name} ${example}.`);
    env[variable] = String(value);
  }
  const others = process.argv.slice(2).filter((_, index) => !own.has(index));
  const { status } = spawnSync("npx", ["vitest", "run", ...args, ...others], {
    stdio: "inherit",
    env,
  });
  process.exitCode = status ?? 1;
}

/** An option that says how many. */
export function count(variable, usual) {
  return { variable, usual: String(usual), fits: (value) => Number(value) > 0, example: usual };
}
