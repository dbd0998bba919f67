// Writes the table of error codes into README.md; with --check it only says whether it is current.
// node --import ./scripts/ts.mjs scripts/error-codes.mjs [--check]
import { readFileSync, writeFileSync } from "node:fs";
import { errorCodes } from "../src/core/error-codes.ts";

const readme = new URL("../README.md", import.meta.url);
const begin = "<!-- error codes: written by scripts/error-codes.mjs -->";
const end = "<!-- end of error codes -->";
const classes = {
  config: "ConfigError",
  payload: "PayloadError",
  task: "TaskError",
  run: "RunError",
  storage: "StorageError",
};

const cells = [
  ["code", "class", "when, and what to do"],
  ...Object.entries(errorCodes).map(([code, { concern, help }]) => [
    `\`${code}\``,
    classes[concern],
    help.replaceAll("|", "\\|"),
  ]),
];
// Padded as the formatter pads it.
const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column].length)));
const lineOf = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
const [head, ...rows] = cells.map(lineOf);
const table = [head, rule, ...rows].join("\n");

const text = readFileSync(readme, "utf8");
const from = text.indexOf(begin) + begin.length;
const to = text.indexOf(end);
if (from < begin.length || to < from) throw new Error("README.md has no place for error codes.");
const updated = `${text.slice(0, from)}\n\n${table}\n\n${text.slice(to)}`;
if (updated !== text) {
  if (process.argv.includes("--check")) {
    throw new Error("The error codes in README.md are out of date; run npm run docs.");
  }
  writeFileSync(readme, updated);
}
