import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient, type Run } from "pawl";
import { sqlite } from "pawl/sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "./rig.js";

const program = fileURLToPath(new URL("crasher.ts", import.meta.url));
const typescript = ["--import", new URL("../../scripts/ts.mjs", import.meta.url).href];

let folder = "";
let child: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pawl-crash-"));
});
afterEach(() => {
  child?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

interface End {
  readonly code: number | null;
  readonly stderr: string;
}

/** Starts the process again and again, until it ends well. */
async function processes(fault: string, times: number): Promise<End[]> {
  const ends: End[] = [];
  while (ends.at(-1)?.code !== 0 && ends.length < 10) ends.push(await oneProcess(fault, times));
  return ends;
}

async function oneProcess(fault: string, times: number): Promise<End> {
  const options = [join(folder, "crash.db"), join(folder, "ledger.txt"), fault, String(times)];
  const current = spawn(process.execPath, [...typescript, program, ...options]);
  child = current;
  let stderr = "";
  current.stderr.on("data", (text) => {
    stderr += text;
  });
  let code: number | null | undefined;
  current.once("close", (exitCode) => {
    code = exitCode;
  });
  await until("the process ends", 5_000, () => code !== undefined);
  return { code: code ?? null, stderr };
}

function callbacks(task: string): number {
  const lines = readFileSync(join(folder, "ledger.txt"), "utf8").split("\n");
  return lines.filter((line) => line === task).length;
}

async function storedRun(jobId: string): Promise<Run | undefined> {
  const client = createClient({ storage: sqlite(join(folder, "crash.db")) });
  const { runs } = await client.getRuns({ jobId });
  await client.stop();
  return runs[0];
}

test.each([
  "throws from a timer",
  "throws from a tick",
  "throws when it is told of its timeout",
  "emits a late error event that nobody hears",
  "rejects a promise that nobody awaits",
])("G18: a task that %s ends its process, and its run goes on in the next one", async (fault) => {
  const [first, ...others] = await processes(fault, 1);
  expect(first).toMatchObject({ code: 1, stderr: expect.stringContaining("planned fault") });
  expect(others).toMatchObject([{ code: 0 }]);
  expect(["before", "bad", "after"].map(callbacks)).toEqual([1, 2, 1]);
  expect(await storedRun("bad")).toMatchObject({ status: "COMPLETED" });
  expect(await storedRun("good")).toMatchObject({ status: "COMPLETED", output: "well" });
});

test("G18: a task that ends its process each time is named when its run is given up, and other runs are not held up", async () => {
  const ends = await processes("throws from a timer", 100);
  // The first process recorded "before"; three more recorded nothing.
  expect(ends.map(({ code }) => code)).toEqual([1, 1, 1, 1, 0]);
  expect(["before", "bad", "after"].map(callbacks)).toEqual([1, 4, 0]);
  const run = await storedRun("bad");
  expect(run).toMatchObject({ status: "TIMED_OUT", error: { code: "RUN_STALLED" } });
  expect(run?.error?.message).toContain('"bad"');
  expect(await storedRun("good")).toMatchObject({ status: "COMPLETED", output: "well" });
});
