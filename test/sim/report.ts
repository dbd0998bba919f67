import { fates } from "./faults.js";
import type { Report } from "./main.js";

export const ids = ["commit", "claimRuns", "createRuns"];
export const reads = ["getRuns", "listSignals", "listTasks", "listRuns", "getValue", "now"];

/** What happened in many seeds, for people. */
export function simulationReport({ counts, seeds, ms, twice }: Report): string {
  const rows = [...ids, ...reads].map((method) => {
    const row = fates.map((fate) => String(counts[`${method}: ${fate}`] ?? 0).padStart(12));
    return `${method.padEnd(12)}${row.join("")}`;
  });
  const list = (prefix: string) =>
    Object.entries(counts)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, count]) => `${name.slice(prefix.length)} ${count}`)
      .join(", ");
  const perSecond = ((seeds * 1_000) / Math.max(1, ms)).toFixed(1);
  return [
    `${seeds} seeds in ${(ms / 1_000).toFixed(1)} s (${perSecond} a second), ${twice} of them twice`,
    `${" ".repeat(12)}${fates.map((fate) => fate.padStart(12)).join("")}`,
    ...rows,
    `commands: ${list("command: ")}`,
    `outside: ${list("outside: ")}`,
    `hints: ${list("hint: ")}`,
    `executions ${counts.executions}, task starts ${counts["task starts"]}, repeated ${counts["task starts repeated"]}`,
  ].join("\n");
}
