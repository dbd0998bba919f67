import pg from "pg";
import { afterAll, expect, inject, test } from "vitest";
import { finalPatch } from "../../src/core/final.js";
import type { RunWrite } from "../../src/core/storage.js";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { PostgresStorage } from "../../src/storage/postgres/storage.js";
import { schemaName } from "./clients.js";

/** The end of a run goes a shorter way in the process that holds it: it must leave what the general way leaves. */
const schema = schemaName();
const pools: pg.Pool[] = [];
const now = 1_000_000;
let ids = 0;
const id = (what: string) => `${what}-${ids++}`;

afterAll(async () => {
  await pools[0]?.query(`drop schema if exists "${schema}" cascade`);
  await Promise.all(pools.map((pool) => pool.end()));
});

async function open() {
  const pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 4 });
  pools.push(pool);
  const sent: string[] = [];
  const driver = new PgDriver(pool, { prepare: true, ownsPool: false });
  const query = driver.query.bind(driver);
  driver.query = (text, parameters) => {
    sent.push(text);
    return query(text, parameters);
  };
  const transaction = driver.transaction.bind(driver);
  driver.transaction = (work) => {
    sent.push("transaction");
    return transaction(work);
  };
  const clock = { now: () => now };
  const storage = new PostgresStorage({ open: () => driver, schema, clock, notify: false });
  await storage.init();
  return { storage, pool, sent };
}

/** Of a run that is due, unless whoever makes it holds it. */
async function made(
  storage: PostgresStorage<unknown>,
  more: { readonly isDue?: true; readonly limitKeys?: readonly string[] } = {},
) {
  const { isDue, limitKeys = [] } = more;
  const first = {
    id: id("run"),
    jobId: "job",
    version: "1.0.0",
    status: "PENDING" as const,
    payload: "{}",
    wakeAt: 1,
    maxDurationMs: 60_000,
    limitKeys,
    ...(isDue === true ? undefined : { lease: { workerId: "worker", leaseMs: 30_000 } }),
  };
  await storage.createRuns([{ createId: id("create"), groups: [{ first }] }]);
  return first.id;
}

async function claimed(storage: PostgresStorage<unknown>) {
  const { runs } = await storage.claimRuns({
    claimId: id("claim"),
    workerId: "worker",
    jobIds: ["job"],
    limit: 10,
    leaseMs: 30_000,
    limits: { account: 1 },
    suspects: 0,
    taskBudget: 1_000,
  });
  return runs.map(({ run }) => run.id);
}

const end = (runId: string, more: Partial<RunWrite> = {}): RunWrite => ({
  runId,
  writeId: id("write"),
  guard: { epoch: 1, inbox: 0 },
  run: { ...finalPatch({ status: "COMPLETED", output: '"done"' }, now + 5), lastSeq: 7 },
  ...more,
});

const failed = (runId: string) =>
  end(runId, {
    run: {
      ...finalPatch(
        {
          status: "FAILED",
          error: { name: "Error", message: "m", code: null, stack: null, cause: null } as never,
        },
        now + 5,
      ),
      lastSeq: 3,
    },
  });

/** All columns but those that tell one run from another. */
async function rowOf(pool: pg.Pool, runId: string) {
  const { rows } = await pool.query(`select * from "${schema}".runs where id = $1`, [runId]);
  const { rk, id, write_id, create_id, ...row } = rows[0];
  return row;
}

test("ends that go the short way leave the rows, and get the answers, of the general one", async () => {
  const [holder, other] = [await open(), await open()];
  const ended = async (write: (runId: string) => RunWrite, together: number) => {
    for (let n = 0; n < together * 2; n++) await made(other.storage, { isDue: true });
    const runs = await claimed(holder.storage);
    expect(runs).toHaveLength(together * 2);
    const mine = runs.slice(0, together).map(write);
    const others = runs.slice(together).map(write);
    const short = await holder.storage.commit(mine);
    // This one has never heard of them.
    expect(await other.storage.commit(others)).toEqual(short);
    expect(short.map(({ result }) => result)).toEqual(runs.slice(together).map(() => "ok"));
    const [first, ...rows] = await Promise.all(runs.map((runId) => rowOf(holder.pool, runId)));
    for (const row of rows) expect(row).toEqual(first);
    // Repeated after a lost answer.
    expect(await holder.storage.commit(mine)).toEqual(short);
    return first;
  };
  expect(await ended(end, 1)).toMatchObject({
    status: "COMPLETED",
    output: '"done"',
    due_at: null,
  });
  expect(await ended(failed, 1)).toMatchObject({
    status: "FAILED",
    output: null,
    lease_until: null,
  });
  await ended(end, 3);
  await ended(failed, 3);
});

test("the end of a lone run is one message", async () => {
  const { storage, sent } = await open();
  const run = await made(storage);
  sent.splice(0);
  await storage.commit([end(run)]);
  expect(sent).toHaveLength(1);
  expect(sent[0]).toContain("update");
});

test("an end that has missed a signal is a conflict, and changes nothing", async () => {
  const [holder, other] = [await open(), await open()];
  const [run, sender] = [await made(holder.storage), await made(other.storage)];
  const signals = [{ runId: run, id: "signal", topic: "t", ref: null }];
  await other.storage.commit([
    { runId: sender, writeId: id("write"), guard: { epoch: 1 }, signals },
  ]);
  const before = await rowOf(holder.pool, run);
  const neighbour = await made(holder.storage);
  const answers = await holder.storage.commit([end(run), end(neighbour)]);
  expect(answers).toMatchObject([
    { result: "conflict", status: "EXECUTING", inbox: 1 },
    { result: "ok", status: "COMPLETED", leaseUntil: null },
  ]);
  expect(await rowOf(holder.pool, run)).toEqual(before);
});

test("a holder that lost its run does not end it", async () => {
  const [holder, other] = [await open(), await open()];
  const run = await made(holder.storage);
  const cancel = finalPatch({ status: "CANCELED" }, now);
  await other.storage.commit([
    { runId: run, writeId: id("write"), guard: { inbox: 0 }, run: cancel },
  ]);
  expect(await holder.storage.commit([end(run)])).toMatchObject([
    { result: "final", status: "CANCELED" },
  ]);
  expect(await rowOf(holder.pool, run)).toMatchObject({ status: "CANCELED", output: null });
});

test("the end of a run with a limit goes the way that tells whoever waits for its slot", async () => {
  const { storage, sent, pool } = await open();
  await made(storage, { isDue: true, limitKeys: ["account/1"] });
  const [run = ""] = await claimed(storage);
  sent.splice(0);
  expect(await storage.commit([end(run)])).toMatchObject([{ result: "ok" }]);
  expect(sent).toContain("transaction");
  expect(await rowOf(pool, run)).toMatchObject({ status: "COMPLETED", lease_until: null });
});

test("an end that brings more than itself is written as a whole", async () => {
  const { storage } = await open();
  const [run, parent] = [await made(storage), await made(storage)];
  const signals = [{ runId: parent, id: "end", topic: "t", ref: run }];
  expect(await storage.commit([end(run, { signals })])).toMatchObject([{ result: "ok" }]);
  expect(await storage.listSignals(parent)).toHaveLength(1);
});
