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

const rows = Object.entries(errorCodes).map(
  ([code, { concern, help }]) =>
    `| \`${code}\` | ${classes[concern]} | ${help.replaceAll("|", "\\|")} |`,
);
const table = ["| code | class | when, and what to do |", "|---|---|---|", ...rows].join("\n");

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
