import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { ManualClock, type RunWrite } from "pawl/adapter-kit";
import { sqlite } from "pawl/sqlite";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { schemaName } from "./clients.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const RUNS = 2_500;
const TASKS = 2;

/** Copies, and stops for good where it is told to, for somebody to kill it there. */
const copying = `
  import { writeSync } from "node:fs";
  import { copyStorage } from "pawl/adapter-kit";
  import { postgres } from "pawl/postgres";
  import { sqlite } from "pawl/sqlite";
  const [, , path, url, schema, dieIn, place] = process.argv;
  const target = postgres({ url, schema });
  const { importRuns } = target;
  const stopHere = () => {
    writeSync(1, ".");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  };
  let calls = 0;
  target.importRuns = async (items) => {
    calls += 1;
    if (calls !== Number(dieIn)) return importRuns.call(target, items);
    const importing = importRuns.call(target, items);
    // The transaction is open by then, and not committed.
    if (place === "within") setImmediate(stopHere);
    await importing;
    stopHere();
  };
  const summary = await copyStorage(sqlite(path), target);
  writeSync(1, JSON.stringify(summary));`;

const folder = mkdtempSync(join(mkdirOf(".test-results"), "copy-"));
const program = join(folder, "copying.mjs");
const path = join(folder, "app.db");
const schema = schemaName();
const pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 2 });

function mkdirOf(name: string): string {
  mkdirSync(join(root, name), { recursive: true });
  return join(root, name);
}

beforeAll(async () => {
  const source = (name: string) => join(root, "src", name, "index.ts");
  await build({
    stdin: { contents: copying, resolveDir: root },
    outfile: program,
    bundle: true,
    format: "esm",
    platform: "node",
    packages: "external",
    alias: {
      "pawl/adapter-kit": source("adapter-kit"),
      "pawl/postgres": source("storage/postgres"),
      "pawl/sqlite": source("storage/sqlite"),
    },
  });
  const storage = sqlite({ path, durability: "relaxed" });
  await storage.init({ clock: new ManualClock() });
  const ids = Array.from({ length: RUNS }, (_, n) => `run-${n}`);
  await storage.createRuns(
    ids.map((id) => {
      const lease = { workerId: "w", leaseMs: 1 };
      const state = { status: "PENDING", wakeAt: 0, payload: "{}", lease } as const;
      return {
        createId: id,
        groups: [{ first: { id, jobId: "job", version: "1.0.0", ...state } }],
      };
    }),
  );
  await storage.commit(
    ids.map((runId): RunWrite => {
      const record = { kind: "task", status: "COMPLETED", attempts: 1, output: "1" } as const;
      const rest = { error: null, startedAt: 1, finishedAt: 2, wakeAt: null, data: null };
      const tasks = [1, 2].map((seq) => ({ path: `t${seq}`, seq, ...record, ...rest }));
      return { runId, writeId: `w-${runId}`, guard: { epoch: 1 }, tasks };
    }),
  );
  await storage.close();
});

afterAll(async () => {
  await pool.query(`drop schema if exists "${schema}" cascade`);
  await pool.end();
  rmSync(folder, { recursive: true, force: true });
});

async function copy(dieIn: number, place: "within" | "behind"): Promise<string> {
  const args = [program, path, inject("postgresUrl"), schema, String(dieIn), place];
  const child = spawn(process.execPath, args);
  if (dieIn > 0) child.stdout.once("data", () => child.kill("SIGKILL"));
  const [said, complaint] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  expect(complaint.replace(/^.*ExperimentalWarning.*\n.*\n/gm, "")).toBe("");
  return said;
}

async function rows(table: string): Promise<number> {
  const { rows: found } = await pool.query(`select count(*)::int as n from "${schema}".${table}`);
  return (found as { n: number }[])[0]?.n ?? 0;
}

test("a copy whose process is killed again and again goes on, and nothing is doubled", async () => {
  const found: number[] = [];
  for (const place of ["within", "behind", "within", "within", "behind"] as const) {
    // Of each call the second import is its last.
    expect(await copy(2, place)).toBe(".");
    found.push((await rows("runs")) + (await rows("tasks")));
  }
  expect(found).toEqual([...found].sort((a, b) => a - b));
  expect(found[0]).toBeGreaterThan(0);
  const whole = RUNS * (1 + TASKS);
  expect(found.at(-1)).toBeLessThan(whole);
  const summary = JSON.parse(await copy(0, "behind")) as Record<string, number>;
  expect(summary).toMatchObject({ runs: RUNS, tasks: RUNS * TASKS, signals: 0, held: 0 });
  expect((await rows("runs")) + (await rows("tasks"))).toBe(whole);
});
