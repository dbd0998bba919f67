// `npm run test:soak -- --tasks 1000000`: that many tasks in one process on one SQLite file. What the
// process holds after each tenth is printed, and must not grow. Durations are only printed.
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import ensureBuild from "./ensure-build.mjs";

const MIB = 2 ** 20;
const MOST_WAL = 64 * MIB;
const MOST_MORE = 10;
const HANGS_AFTER_MS = 120_000;

const { values } = parseArgs({ options: { tasks: { type: "string", default: "20000" } } });
const total = Number(values.tasks);
if (!Number.isInteger(total) || total < 1_000) {
  throw new Error("--tasks needs a whole number from 1000 on, such as --tasks 1000000.");
}
// Under the bound of a long run a short one would hide what leaks with each task.
const mostHeapGrowth = (total < 100_000 ? 3 : 10) * MIB;

const columns = [
  "tasks",
  "heap MiB",
  "rss MiB",
  "files",
  "handles",
  "timers",
  "wal MiB",
  "db MiB",
  "purged",
  "s",
];
const mib = (bytes) => (bytes / MIB).toFixed(1);

function print(cells) {
  console.log(cells.map((cell) => String(cell).padStart(9)).join(" "));
}

function rowOf(state, seconds) {
  const { tasks, heap, rss, files, handles, timers, walMax, database, purged } = state;
  return [
    tasks,
    mib(heap),
    mib(rss),
    files,
    handles,
    timers,
    mib(walMax),
    mib(database),
    purged,
    seconds.toFixed(0),
  ];
}

/** What the worker said after each tenth. */
async function soak(folder) {
  const started = performance.now();
  const states = [];
  const worker = fork(
    fileURLToPath(new URL("soak-worker.mjs", import.meta.url)),
    [join(folder, "soak.db"), String(total)],
    { execArgv: ["--expose-gc"] },
  );
  let guard;
  const alive = () => {
    clearTimeout(guard);
    guard = setTimeout(() => worker.kill("SIGKILL"), HANGS_AFTER_MS);
  };
  alive();
  worker.on("message", (message) => {
    alive();
    if (message === "alive") return;
    states.push(message);
    print(rowOf(message, (performance.now() - started) / 1000));
  });
  const [code, signal] = await once(worker, "exit");
  clearTimeout(guard);
  if (code !== 0)
    throw new Error(`The worker ended with ${signal ?? code} after ${states.length} tenths.`);
  return states;
}

function problemsOf(states) {
  const [first] = states;
  const last = states.at(-1);
  const growth = last.heap - first.heap;
  const problems = [];
  if (growth > mostHeapGrowth) problems.push(`the heap grew by ${mib(growth)} MiB`);
  if (last.walMax > MOST_WAL) problems.push(`the log reached ${mib(last.walMax)} MiB`);
  for (const what of ["files", "handles", "timers"]) {
    const more = last[what] - first[what];
    if (more > MOST_MORE) problems.push(`there are ${more} more ${what}`);
  }
  const purged = states.reduce((sum, state) => sum + state.purged, 0);
  if (purged < states.length) problems.push("next to nothing was purged");
  return problems;
}

await ensureBuild();
const folder = mkdtempSync(join(tmpdir(), "pawl-soak-"));
try {
  print(columns);
  const problems = problemsOf(await soak(folder));
  for (const problem of problems) console.error(`soak: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
