import { printable } from "./printable.js";

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

export function time(date: Date | undefined): string {
  return date === undefined ? "-" : date.toISOString();
}

/** "1d 2h", "3s 20ms": the two largest units. */
export function span(from: Date, to: Date): string {
  let left = Math.max(0, to.getTime() - from.getTime());
  const parts: string[] = [];
  for (const [unit, ms] of units) {
    const count = Math.floor(left / ms);
    left -= count * ms;
    if (count > 0 && parts.length < 2) parts.push(`${count}${unit}`);
  }
  return parts.join(" ") || "0ms";
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

export function words(texts: readonly string[]): string {
  return texts.map(printable).join(", ");
}
