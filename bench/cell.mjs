// One measurement in a process of its own: node cell.mjs <system> <workload> [k=v …] prints one JSON line.
import { rmSync } from "node:fs";
import { folder } from "./measure.mjs";
import { openSystem } from "./open-system.mjs";

const [systemName = "", workloadName = "", ...pairs] = process.argv.slice(2);
const options = Object.fromEntries(
  pairs.map((pair) => pair.split("=")).map(([key, value]) => [key, Number(value)]),
);
const dir = folder();

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
  const { fleetWorkloads } = await import("./fleet-workloads.mjs");
  const concurrency = options.concurrency ?? 256;
  const open = () => openSystem(systemName, { dir, concurrency, maxParked: options.maxParked });
  const workload = { ...workloads, ...fleetWorkloads }[workloadName];
  const system = await open();
  figures = await workload(system, { ...options, dir, open, systemName, concurrency });
  await Promise.race([system.close(), new Promise((resolve) => setTimeout(resolve, 10_000))]);
}
console.log(`RESULT ${JSON.stringify(figures)}`);
rmSync(dir, { recursive: true, force: true });
process.exit(0);
