// CPU of the server's processes on this machine, from /proc: the backends of a store, and the helpers that write for all.
import { readFileSync } from "node:fs";

/** Microseconds so far, by process. */
export const serverCpuOf =
  ({ pool, schema }) =>
  async () => {
    const { rows } = await pool.query(
      "select pid from pg_stat_activity where application_name = $1 or backend_type <> 'client backend'",
      [schema],
    );
    return new Map(rows.map(({ pid }) => [pid, cpuOfProcess(pid)]));
  };

/** A process that began in between counts from its begin, one that has ended not at all. */
export function serverCpuBetween(before, after) {
  return [...after].reduce((sum, [pid, time]) => sum + time - (before.get(pid) ?? 0), 0);
}

function cpuOfProcess(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]) / 1_000;
  } catch {
    // It has ended meanwhile, or the server is on another machine: then the figure is NaN, and shown as such.
    return Number.NaN;
  }
}

/** Busy microseconds of all processors so far, whatever they did. */
export function machineCpu() {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user, nice, system, , , interrupts, softInterrupts] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  // In hundredths of a second.
  return (user + nice + system + interrupts + softInterrupts) * 10_000;
}
