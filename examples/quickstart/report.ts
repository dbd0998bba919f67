import type { Client } from "pawl";
import type { Line } from "./ledger.js";

/** Tries that came to their end; a payment that failed and is tried again is not among them. */
export function done(lines: readonly Line[]): number {
  return lines.filter((line) => line.what === "end").length;
}

/** Tries that had begun and not ended. */
export function running(lines: readonly Line[]): number {
  const open = new Set<string>();
  for (const line of lines) {
    if (line.what === "start") open.add(tryOf(line));
    else open.delete(tryOf(line));
  }
  return open.size;
}

/** Tasks of which one and the same try was begun twice. */
export function begunTwice(lines: readonly Line[]): string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const line of lines) {
    if (line.what !== "start") continue;
    if (seen.has(tryOf(line))) twice.add(line.taskId);
    seen.add(tryOf(line));
  }
  return [...twice];
}

/** How many of these tasks had been recorded by then, by the store. It must be none. */
export async function recordedBy(
  client: Client,
  taskIds: readonly string[],
  instant: Date,
): Promise<number> {
  let count = 0;
  for (const taskId of taskIds) {
    const [runId = "", path] = taskId.split("/");
    const run = await client.getRun(runId, { tasks: true });
    const finishedAt = run?.tasks?.find((task) => task.path === path)?.finishedAt;
    if (finishedAt === undefined || finishedAt < instant) count++;
  }
  return count;
}

export function counts(numbers: Readonly<Record<string, number>>): string {
  const parts = Object.entries(numbers).map(([name, number]) => `${name} ${number}`);
  return parts.sort().join(", ");
}

function tryOf(line: Line): string {
  return `${line.taskId} ${line.attempt}`;
}
