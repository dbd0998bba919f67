import { createClient, type Io, invokeTrigger } from "pawl";
import { postgres } from "pawl/postgres";
import { fakeClock } from "pawl/testing";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { passingTime } from "../engine/support.js";
import { counted } from "../engine/under-way.js";
import { eventually } from "../eventually.js";
import { type OwnServer, startOwnServer } from "./server.js";

/** What the start and the end of a run may cost, in messages and in flushes of the log. */
const HANDFUL = 12;
/** It is claimed, and it ends. */
const UPDATES_OF_A_RUN = 2;

let server: OwnServer;
let admin: pg.Client;
let schemas = 0;
let ids = 0;

beforeAll(async () => {
  // What the server does by itself would be counted as well.
  const quiet = ["autovacuum=off", "checkpoint_timeout=1h", "wal_writer_delay=10s"];
  server = await startOwnServer(quiet);
  admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
});
afterAll(async () => {
  await admin.end();
  await server.stop();
});

async function text(statement: string): Promise<string> {
  return String((await admin.query({ text: statement, rowMode: "array" })).rows[0]?.[0]);
}

const number = async (statement: string) => Number(await text(statement));

/**
 * How often the log was flushed. Before PostgreSQL 15 that is not told, or late: there it is how many transactions had
 * something to flush, which is the same as long as no two commit at a time.
 */
async function flushes(): Promise<number> {
  const version = Number(await text("show server_version_num"));
  if (version < 150_000)
    return Number(await text("select txid_snapshot_xmax(txid_current_snapshot())"));
  const counter =
    version < 180_000
      ? "select wal_sync from pg_stat_wal"
      : "select sum(fsyncs) from pg_stat_io where object = 'wal'";
  return Number(await text(counter));
}

/** Backends say what they have counted when they end. */
async function othersEnded(): Promise<void> {
  const others =
    "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
  await eventually(async () => (await text(others)) === "0");
}

/** A pool, and each statement or script that was sent over it: a message and its answer. */
function countedPool() {
  const sent: string[] = [];
  const pool = new pg.Pool({ connectionString: server.url, max: 6 });
  pool.on("connect", (connection) => {
    const query: (...all: unknown[]) => unknown = connection.query.bind(connection);
    Object.assign(connection, {
      query: (first: string | { readonly text: string }, ...others: unknown[]) => {
        sent.push(typeof first === "string" ? first : first.text);
        return query(first, ...others);
      },
    });
  });
  return { pool, sent };
}

type Task = (io: Io) => unknown;

interface Cost {
  /** Messages that bring task records. */
  readonly records: number;
  /** All the others, from the call of `invoke` to the end of the run. */
  readonly others: number;
  /** With those of a client's start, and of a run without tasks. */
  readonly flushes: number;
  /** Of the rows of this run and of two without tasks. */
  readonly updates: number;
  readonly hotUpdates: number;
  /** Log lines that are stored. */
  readonly lines: number;
}

/** What a run of so many tasks costs, one after the other, while nothing else goes on. */
async function costOf(tasks: number, task: Task = () => 1): Promise<Cost> {
  const schema = `costs_${schemas++}`;
  // The tables are made, and the job is known.
  await execute(schema, [0], task);
  await othersEnded();
  const before = await flushes();
  const sent = await execute(schema, [0, tasks], task);
  await othersEnded();
  const lines = await number(`select count(*) from "${schema}".logs`);
  const records = sent.filter((message) => message.includes(`insert into "${schema}".tasks`));
  const cost = {
    records: records.length,
    others: sent.length - records.length,
    flushes: (await flushes()) - before,
    ...(await updatesOf(schema, tasks)),
    lines,
  };
  console.log(`${tasks} tasks: ${JSON.stringify(cost)}`);
  return cost;
}

/** Runs of so many tasks, in a process of their own. Answers what was sent for the last one. */
async function execute(schema: string, runs: readonly number[], task: Task): Promise<string[]> {
  const { pool, sent } = countedPool();
  const storage = postgres({ client: pool, schema });
  // It is not extended meanwhile.
  const client = createClient({ storage, leaseMs: 3_600_000 });
  client.defineJob({
    id: "job",
    trigger: invokeTrigger(),
    run: async (count: number, io) => {
      for (let n = 0; n < count; n++) await io.runTask(["t", n], () => task(io));
    },
  });
  await client.start();
  for (const count of runs) {
    sent.splice(0);
    const ended = new Promise((resolve, reject) => {
      client.on("runSucceeded", resolve);
      client.on("runFailed", reject);
    });
    await client.invoke("job", count);
    await ended;
  }
  const ofLast = [...sent];
  await client.stop();
  await pool.end();
  return ofLast;
}

/** Since the schema was made; before PostgreSQL 15 the server counts late, and the record of a task with its update. */
async function updatesOf(schema: string, tasks: number) {
  const of = (column: string, table: string) =>
    number(
      `select ${column} from pg_stat_user_tables where schemaname = '${schema}' and relname = '${table}'`,
    );
  await eventually(async () => (await of("n_tup_ins", "tasks")) === tasks);
  return {
    updates: await of("n_tup_upd", "runs"),
    hotUpdates: await of("n_tup_hot_upd", "runs"),
  };
}

test("a task of a lone run is one message and one flush, and no update of the run's row", async () => {
  const cost = await costOf(100);
  expect(cost.records).toBe(100);
  expect(cost.others).toBeLessThanOrEqual(HANDFUL);
  expect(cost.flushes).toBeGreaterThanOrEqual(100);
  expect(cost.flushes).toBeLessThanOrEqual(100 + HANDFUL);
  expect(cost.updates).toBeLessThanOrEqual(UPDATES_OF_A_RUN * 3);
});

test("a task that logs costs no more messages and flushes", async () => {
  const cost = await costOf(100, (io) => {
    for (let n = 0; n < 5; n++) io.logger.info(`line ${n}`);
  });
  expect(cost.lines).toBe(500);
  expect(cost.records).toBe(100);
  expect(cost.others).toBeLessThanOrEqual(HANDFUL);
  expect(cost.flushes).toBeLessThanOrEqual(100 + HANDFUL);
  expect(cost.updates).toBeLessThanOrEqual(UPDATES_OF_A_RUN * 3);
});

test("a claim is two messages, with limits seven, and one if nothing is due or it is certain what is", async () => {
  const { pool, sent } = countedPool();
  const storage = postgres({ client: pool, schema: `costs_${schemas++}` });
  await storage.init({ clock: fakeClock() });
  const messagesOf = async (wakeAt: readonly number[], limits: Record<string, number> = {}) => {
    const run = { jobId: "job", version: "1.0.0", status: "PENDING" as const, payload: "{}" };
    for (const at of wakeAt) {
      const id = `costs-${ids++}`;
      await storage.createRuns([
        { createId: id, groups: [{ first: { ...run, id, wakeAt: at }, further: [] }] },
      ]);
    }
    sent.splice(0);
    const { runs } = await storage.claimRuns({
      ...{ claimId: `costs-${ids++}`, workerId: "w", jobIds: ["job"], limit: 2, limits },
      ...{ leaseMs: 3_600_000, suspects: 1, taskBudget: 1_000 },
    });
    return { runs: runs.length, messages: sent.length };
  };
  expect(await messagesOf([1])).toEqual({ runs: 1, messages: 2 });
  expect(await messagesOf([1, 1, 1, 1, 1])).toEqual({ runs: 2, messages: 2 });
  expect(await messagesOf([])).toEqual({ runs: 2, messages: 1 });
  expect(await messagesOf([], { limit: 1 })).toEqual({ runs: 1, messages: 7 });
  expect(await messagesOf([Date.now() + 3_600_000])).toEqual({ runs: 0, messages: 1 });
  await storage.close();
  await pool.end();
});

test("a process at rest sends two messages a minute", async () => {
  const { pool, sent } = countedPool();
  const clock = fakeClock();
  const storage = counted(
    postgres({ client: pool, schema: `costs_${schemas++}`, clock }),
    () => false,
  );
  const client = createClient({ storage, clock });
  client.defineJob({ id: "job", trigger: invokeTrigger(), run: () => 1 });
  const pass = (minutes: number) =>
    passingTime(clock, new Promise<void>((resolve) => clock.setTimer(minutes * 60_000, resolve)));
  await client.start();
  // What comes of a start is over.
  await pass(1);
  sent.splice(0);
  await pass(60);
  expect(sent.length).toBeGreaterThan(100);
  expect(sent.length).toBeLessThanOrEqual(120);
  await client.stop();
  await pool.end();
});
