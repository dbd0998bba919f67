// Where the time of a measured part goes. Only in a process that is started for it, since it slows down what it looks at.
import { Session } from "node:inspector/promises";

export const isProfiled = process.env.PAWL_BENCH_PROFILE !== undefined;
const session = isProfiled ? new Session() : undefined;

/** Begin and end of the measured part; nothing unless this process is profiled. */
export async function beginProfile() {
  session?.connect();
  await session?.post("Profiler.enable");
  await session?.post("Profiler.setSamplingInterval", { interval: 200 });
  await session?.post("Profiler.start");
}

/** What is to be added to the figures. */
export async function endProfile() {
  if (session === undefined) return {};
  const { profile } = await session.post("Profiler.stop");
  return { profile: shares(profile) };
}

/** Share of the busy time by place, in percent. */
function shares({ nodes, samples, timeDeltas }) {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const times = new Map();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const place = places.get(id);
    if (place === undefined) continue;
    times.set(place, (times.get(place) ?? 0) + timeDeltas[index]);
    busy += timeDeltas[index];
  }
  const sorted = [...times].sort(([, a], [, b]) => b - a);
  return Object.fromEntries(sorted.map(([place, time]) => [place, (time / busy) * 100]));
}

/** Undefined for what is no work, and for the profiler's own. */
function placeOf({ functionName, url }) {
  if (functionName === "(idle)" || functionName === "dispatch") return undefined;
  if (functionName === "(garbage collector)") return "garbage collector";
  if (url.includes("/dist/sqlite.js")) return "SQLite adapter";
  if (url.includes("/dist/memory.js")) return "memory adapter";
  if (url.includes("/dist/")) return "engine";
  if (url.includes("/bench/")) return "benchmark";
  if (url.startsWith("node:sqlite") || url.includes("/node_modules/")) return "SQLite and driver";
  if (url.startsWith("node:")) return "Node";
  return functionName.includes("::") || nativeOfDriver.has(functionName)
    ? "SQLite and driver"
    : "Node";
}

/** Functions of addons have no address; these are the names of the drivers' methods. */
const nativeOfDriver = new Set(["run", "get", "all", "step", "statementGet", "statementRun"]);
