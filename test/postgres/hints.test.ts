import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { Hints } from "../../src/storage/postgres/hints.js";
import { postgres } from "../../src/storage/postgres/index.js";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { eventually } from "../eventually.js";
import { schemaName } from "./clients.js";
import { startProxy } from "./proxy.js";

const schema = schemaName();
const channel = `pawl_${schema}`;
const ends: (() => unknown)[] = [];
let pool: pg.Pool;

function newPool(url = inject("postgresUrl")): pg.Pool {
  const made = new pg.Pool({ connectionString: url, max: 3 });
  ends.push(() => made.end());
  return made;
}

async function storage() {
  const made = postgres({ client: newPool(), schema });
  await made.init({ clock: { now: Date.now } as never });
  ends.push(() => made.close());
  return made;
}

/** What everybody who listens gets, by a connection of its own. */
async function listener() {
  const heard: string[] = [];
  const client = new pg.Client({ connectionString: inject("postgresUrl") });
  await client.connect();
  ends.push(() => client.end());
  client.on("notification", ({ payload }) => heard.push(payload ?? ""));
  await client.query(`listen "${channel}"; listen "${channel}_end"`);
  return {
    heard,
    /** All that was committed before is here: notifications arrive in the order of commits. */
    settled: async () => {
      await client.query(`notify "${channel}_end", 'end'`);
      await eventually(() => heard.includes("end"));
      return heard.splice(0).filter((payload) => payload !== "end");
    },
  };
}

let ids = 0;
const newRun = (more: object = {}) => ({
  id: `run-${process.pid}-${ids++}`,
  jobId: "job",
  version: "1.0.0",
  status: "PENDING" as const,
  payload: "{}",
  wakeAt: 1,
  ...more,
});
const element = (...runs: object[]) => ({
  createId: `create-${ids++}`,
  groups: runs.map((run) => ({ first: newRun(run) })),
});

beforeAll(() => {
  pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 2 });
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(async () => {
  await pool.query(`drop schema if exists "${schema}" cascade`);
  await pool.end();
});

describe("hints by NOTIFY", () => {
  test("a commit sends one, however many runs it makes due", async () => {
    const sender = await storage();
    const all = await listener();
    await sender.createRuns(Array.from({ length: 50 }, () => element({}, {})));
    expect(await all.settled()).toHaveLength(1);
  });

  test("a delayed run is announced with its instant, and a leased one not at all", async () => {
    const sender = await storage();
    const all = await listener();
    const at = Date.now() + 3_600_000;
    await sender.createRuns([element({ wakeAt: at })]);
    await sender.createRuns([element({ lease: { workerId: "w", leaseMs: 30_000 } })]);
    const heard = await all.settled();
    expect(heard.map((payload) => payload.split(" ")[1])).toEqual([String(at)]);
  });

  test("who parks a run for later tells nobody, who gives it back tells everybody", async () => {
    const holder = await storage();
    const all = await listener();
    const run = element({ lease: { workerId: "w", leaseMs: 30_000 } });
    await holder.createRuns([run]);
    const id = run.groups[0]?.first.id ?? "";
    const release = (wakeAt: number, epoch: number) => ({
      runId: id,
      writeId: `write-${ids++}`,
      guard: { epoch },
      run: { status: "WAITING" as const },
      release: { wakeAt, wakeSignals: 1 },
    });
    const [parked] = await holder.commit([release(Date.now() + 5_000, 1)]);
    expect(parked?.result).toBe("ok");
    expect(await all.settled()).toEqual([]);
    const claim = { claimId: "c", workerId: "w", jobIds: ["job"], limit: 9, leaseMs: 30_000 };
    const rest = { limits: {}, suspects: 1 as const, taskBudget: 1_000 };
    const { runs } = await holder.claimRuns({ ...claim, ...rest, only: [id] });
    expect(runs).toHaveLength(1);
    await holder.commit([release(1, runs[0]?.run.epoch ?? 0)]);
    expect(await all.settled()).toHaveLength(1);
  });

  test("a subscriber hears the others, and not its own process", async () => {
    const [one, other] = [await storage(), await storage()];
    const hints: (number | undefined)[] = [];
    await one.subscribe?.((dueAt) => hints.push(dueAt));
    hints.splice(0);
    const all = await listener();
    await one.createRuns([element({})]);
    await all.settled();
    const at = Date.now() + 60_000;
    await other.createRuns([element({ wakeAt: at })]);
    await eventually(() => hints.length > 0);
    expect(hints).toEqual([at]);
  });

  test("what is made in a transaction of the application's is announced when that commits, to its own process as well", async () => {
    const one = await storage();
    const hints: (number | undefined)[] = [];
    await one.subscribe?.((dueAt) => hints.push(dueAt));
    const all = await listener();
    hints.splice(0);
    const at = Date.now() + 60_000;
    const tx = await pool.connect();
    await tx.query("begin");
    await one.createRunsIn?.(tx as never, element({ wakeAt: at }));
    expect(await all.settled()).toEqual([]);
    await tx.query("commit");
    tx.release();
    await eventually(() => hints.includes(at));
  });

  test("notify: false listens to nothing and sends nothing", async () => {
    const quiet = postgres({ client: newPool(), schema, notify: false });
    await quiet.init({ clock: { now: Date.now } as never });
    ends.push(() => quiet.close());
    const all = await listener();
    await quiet.createRuns([element({})]);
    expect(quiet.subscribe).toBeUndefined();
    expect(await all.settled()).toEqual([]);
  });
});

describe("a subscription", () => {
  const listening = async () => {
    const { rows } = await pool.query("select pid from pg_stat_activity where query = $1", [
      `listen "${channel}"`,
    ]);
    return rows.map(({ pid }) => pid as number);
  };

  test("whose connection is terminated gets another one, and then its subscribers look", async () => {
    const [one, other] = [await storage(), await storage()];
    const hints: (number | undefined)[] = [];
    await one.subscribe?.((dueAt) => hints.push(dueAt));
    hints.splice(0);
    const [before] = await listening();
    await pool.query("select pg_terminate_backend($1)", [before]);
    await eventually(async () => (await listening()).some((pid) => pid !== before));
    await eventually(() => hints.length > 0);
    expect(hints).toContain(undefined);
    const at = Date.now() + 60_000;
    await other.createRuns([element({ wakeAt: at })]);
    await eventually(() => hints.includes(at));
  });

  test("on a connection that is dead without a word is replaced when no echo comes back", async () => {
    const between = await startProxy(inject("postgresUrl"));
    ends.push(between.close);
    const driver = new PgDriver(newPool(between.url), { prepare: true, ownsPool: false });
    const hints = new Hints(driver, schema, { aliveForMs: 0, echoWithinMs: 50 });
    ends.push(() => hints.close());
    const heard: (number | undefined)[] = [];
    await hints.subscribe((dueAt) => heard.push(dueAt));
    heard.splice(0);
    const poll = () => pool.query("select pg_notify($1, $2)", [channel, hints.echo() ?? "none"]);
    await poll();
    const [before] = await listening();
    between.mute(true);
    await eventually(async () => {
      await poll();
      return heard.length > 0;
    });
    between.mute(false);
    await eventually(async () => (await listening()).some((pid) => pid !== before));
    const at = Date.now() + 60_000;
    await pool.query("select pg_notify($1, $2)", [channel, `somebody ${at}`]);
    await eventually(() => heard.includes(at));
  });
});
