import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a program as a user does who has the package installed: `pawl` is the built one. */
export function startProgram(path: string): ChildProcess {
  return spawn(process.execPath, ["--import", "./scripts/ts.mjs", path], { cwd: root });
}

export async function runProgram(path: string): Promise<ProgramResult> {
  const child = startProgram(path);
  if (child.stdout === null || child.stderr === null) throw new Error("There are no pipes.");
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  return { code, stdout: steady(stdout), stderr };
}

/** What differs from run to run gets a name. */
function steady(output: string): string {
  return output
    .replace(/\b[0-9A-HJKMNP-TV-Z]{26,40}\b/g, "<id>")
    .replace(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>")
    .trim();
}
