// One measurement in a process of its own: node cell.mjs <system> <workload> [k=v …] prints one JSON line.
import { rmSync } from "node:fs";
import { folder } from "./measure.mjs";

const [systemName = "", workloadName = "", ...pairs] = process.argv.slice(2);
const options = Object.fromEntries(
  pairs.map((pair) => pair.split("=")).map(([key, value]) => [key, Number(value)]),
);
const dir = folder();

async function systemOf(name) {
  if (name.startsWith("pawl-"))
    return (await import("./systems/pawl.mjs")).open(name.slice("pawl-".length));
  return (await import(`./systems/${name}.mjs`)).open();
}

let figures;
if (systemName === "raw-postgres") {
  const { measureRawPostgres } = await import("./systems/raw-postgres.mjs");
  figures = await measureRawPostgres(options);
} else if (systemName === "raw") {
  const { measureRaw } = await import("./systems/raw.mjs");
  figures = await measureRaw(dir);
} else if (systemName === "events") {
  const { eventWorkloads } = await import("./event-workloads.mjs");
  figures = await eventWorkloads[workloadName]({ ...options, dir });
} else {
  const { workloads } = await import("./workloads.mjs");
  const open = await systemOf(systemName);
  const system = await open({
    dir,
    concurrency: options.concurrency ?? 256,
    maxParked: options.maxParked,
  });
  figures = await workloads[workloadName](system, { ...options, dir });
  await Promise.race([system.close(), new Promise((resolve) => setTimeout(resolve, 10_000))]);
}
console.log(`RESULT ${JSON.stringify(figures)}`);
rmSync(dir, { recursive: true, force: true });
process.exit(0);
