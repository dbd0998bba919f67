// The fault sweep on all stores: `npm run test:sweep`, or `-- --every 7` for each seventh fault on PostgreSQL.
// Other arguments go to vitest.
import { spawnSync } from "node:child_process";

const others = process.argv.slice(2);
const at = others.indexOf("--every");
const [, every = "1"] = at === -1 ? [] : others.splice(at, 2);
// There are six kinds of fault; a divisor of six in it would leave some of them out in each scenario.
if (!(Number(every) > 0) || (every !== "1" && (every % 2 === 0 || every % 3 === 0)))
  throw new Error(`--every needs a number without 2 and 3 as divisors, such as 7, not ${every}.`);
const files = ["test/sweep/", "test/postgres/sweep.test.ts"];
const projects = ["--project", "unit", "--project", "postgres"];
const { status } = spawnSync("npx", ["vitest", "run", ...projects, ...files, ...others], {
  stdio: "inherit",
  env: { ...process.env, PAWL_SWEEP_EVERY: every },
});
process.exitCode = status ?? 1;
