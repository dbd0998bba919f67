import { createClient, invokeTrigger } from "pawl";
import { postgres } from "pawl/postgres";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../eventually.js";
import { schemaName } from "./clients.js";

const RUNS = 150;
const BATCH = 25;

const schema = schemaName();
let pool: pg.Pool;

beforeAll(() => {
  pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 12 });
});
afterAll(async () => {
  await pool.query(`drop schema if exists "${schema}" cascade`);
  await pool.end();
});

test("finished runs are purged in batches while workers go on, and nobody is disturbed", async () => {
  const troubles: unknown[] = [];
  const open = () => {
    const options = { concurrency: 20, onError: (error: unknown) => troubles.push(error) };
    const client = createClient({ storage: postgres({ client: pool, schema }), ...options });
    client.defineJob({ id: "child", trigger: invokeTrigger(), run: (n: number) => n * 2 });
    client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (n: number, io) => {
        const task = await io.runTask("task", () => n);
        const child = await io.invokeAndWait("child", "child", task);
        return child.ok ? child.output : undefined;
      },
    });
    return client;
  };
  const workers = [open(), open()];
  const [first] = workers;
  if (first === undefined) throw new Error("no worker");
  const outputs = new Map<string, unknown>();
  for (const worker of workers) {
    worker.on("runSucceeded", (run) => outputs.set(run.id, run.output));
    await worker.start();
  }
  const ids: string[] = [];
  const sending = (async () => {
    for (let n = 0; n < RUNS; n++) {
      const { id } = await first.invoke("parent", n, { idempotencyKey: `key ${n}` });
      ids.push(id);
    }
  })();
  const purger = postgres({ client: pool, schema });
  await purger.init({ clock: { now: Date.now } as never });
  // More than a batch is there when it begins.
  await eventually(() => outputs.size > BATCH * 3);
  const batches: number[] = [];
  let isOver = false;
  const purging = (async () => {
    while (!isOver) {
      const now = await purger.now();
      const query = { finishedBefore: now, dedupeUntil: now + 3_600_000, limit: BATCH };
      // Two at a time, as from two processes.
      const both = await Promise.all([purger.purge(query), purger.purge(query)]);
      batches.push(...both.map(({ purged }) => purged));
    }
  })();
  await sending;
  await eventually(() => ids.every((id) => outputs.has(id)));
  await eventually(async () => (await first.getRuns({ take: 1 })).runs.length === 0);
  isOver = true;
  await purging;
  expect(troubles).toEqual([]);
  expect(ids.map((id) => outputs.get(id))).toEqual(ids.map((_, n) => n * 2));
  expect(Math.max(...batches)).toBe(BATCH);
  expect(batches.filter((purged) => purged > 0).length).toBeGreaterThanOrEqual((RUNS * 2) / BATCH);
  // What is left of them: the same key starts nothing again.
  expect((await first.invoke("parent", 7, { idempotencyKey: "key 7" })).id).toBe(ids[7]);
  const { rows } = await pool.query(`select count(*)::int as n from "${schema}".tombstones`);
  expect(rows).toEqual([{ n: RUNS * 2 }]);
  for (const worker of workers) await worker.stop();
  await purger.close();
});

test("a batch is smaller where runs have recorded very much", async () => {
  const of = `${schema}_large`;
  const storage = postgres({ client: pool, schema: of });
  const client = createClient({ storage });
  await client.stats();
  await pool.query(
    `insert into "${of}".runs (id, job_id, version, status, epoch, execution_count, priority, rank, internal, is_test, created_at, finished_at) ` +
      "select 'run ' || n, 'job', '1.0.0', 'COMPLETED', 2, 1, 0, 0, false, false, n, n from generate_series(1, 5) n",
  );
  await pool.query(
    `insert into "${of}".tasks (rk, seq, path, kind, status, attempts, started_at, finished_at, write_id) ` +
      `select rk, n, n::text, 'task', 'COMPLETED', 1, 1, 1, 'w' from "${of}".runs cross join generate_series(1, 8000) n`,
  );
  expect(await storage.purge({ finishedBefore: 9, dedupeUntil: 9, limit: 500 })).toEqual({
    purged: 2,
  });
  expect(await client.purge({ olderThan: { days: 1 } })).toEqual({ purged: 3 });
  const { rows } = await pool.query(`select count(*)::int as n from "${of}".tasks`);
  expect(rows).toEqual([{ n: 0 }]);
  await client.stop();
  await pool.query(`drop schema "${of}" cascade`);
});
