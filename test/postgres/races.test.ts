import pg from "pg";
import { afterAll, afterEach, describe, expect, inject, test } from "vitest";
import type { ClaimRequest, NewRun, RunWrite, TaskWrite } from "../../src/core/storage.js";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { PostgresStorage } from "../../src/storage/postgres/storage.js";
import { eventually } from "../eventually.js";
import { schemaName, waitingForLock } from "./clients.js";
import { GateDriver } from "./gate.js";

/** What two processes do at the same moment, on a real server under READ COMMITTED, in an order that the test gives. */
const schema = schemaName();
const pools: pg.Pool[] = [];
const tables = ["runs", "tasks", "signals", "keys", "values"];

async function open() {
  const pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 4 });
  pools.push(pool);
  const gate = new GateDriver(new PgDriver(pool, { prepare: true, ownsPool: false }));
  const clock = { now: () => now };
  const storage = new PostgresStorage({ open: () => gate, schema, clock, notify: false });
  await storage.init();
  return { storage, gate, pool };
}

let now = 1_000_000;
let ids = 0;
const id = (what: string) => `${what}-${ids++}`;

afterEach(async () => {
  await pools[0]?.query(tables.map((table) => `delete from "${schema}".${table}`).join(";"));
});
afterAll(async () => {
  await pools[0]?.query(`drop schema if exists "${schema}" cascade`);
  await Promise.all(pools.map((pool) => pool.end()));
});

async function made(
  storage: PostgresStorage<unknown>,
  more: Partial<NewRun> = {},
): Promise<string> {
  const run = { id: id("run"), jobId: "job", version: "1.0.0", status: "PENDING", payload: "{}" };
  const first = { ...run, wakeAt: 1, ...more } as NewRun;
  await storage.createRuns([{ createId: id("create"), groups: [{ first }] }]);
  return first.id;
}

const claimOf = (more: Partial<ClaimRequest> = {}): ClaimRequest => ({
  claimId: id("claim"),
  workerId: "worker",
  jobIds: ["job"],
  limit: 10,
  leaseMs: 30_000,
  limits: {},
  suspects: 1,
  taskBudget: 1_000_000,
  ...more,
});

const task = (seq: number): TaskWrite => ({
  path: `["t",${seq}]`,
  seq,
  kind: "task",
  status: "COMPLETED",
  attempts: 1,
  output: "1",
  error: null,
  startedAt: 1,
  finishedAt: 2,
  wakeAt: null,
  data: null,
});

const record = (runId: string, epoch: number, seq = 1): RunWrite => ({
  runId,
  writeId: id("write"),
  guard: { epoch },
  tasks: [task(seq)],
});

const park = (runId: string, epoch: number, inbox: number): RunWrite => ({
  runId,
  writeId: id("write"),
  guard: { epoch, inbox },
  run: { status: "WAITING" },
  release: { wakeAt: now + 3_600_000, wakeSignals: 1 },
});

const signal = (from: string, to: string, epoch: number): RunWrite => ({
  runId: from,
  writeId: id("write"),
  guard: { epoch },
  signals: [{ runId: to, id: id("signal"), topic: "t", ref: null }],
});

const results = (answers: readonly { readonly result: string }[]) =>
  answers.map(({ result }) => result);

const lease = { workerId: "worker", leaseMs: 30_000 };

describe("a claim is committed before what belongs to its runs is read", () => {
  test("a signal that comes in between is counted with those that the claim answers", async () => {
    const [worker, other] = [await open(), await open()];
    const [run, sender] = [await made(worker.storage), await made(other.storage, { lease })];
    await other.storage.commit([signal(sender, run, 1)]);
    const between = worker.gate.holdAt(/as inboxes cross join/);
    const claim = worker.storage.claimRuns(claimOf());
    await between.reached;
    await other.storage.commit([signal(sender, run, 1)]);
    between.goOn();
    const [claimed] = (await claim).runs;
    expect(claimed?.run.inbox).toBe(2);
    expect(claimed?.signals).toHaveLength(2);
    const parked = await worker.storage.commit([park(run, 1, 2)]);
    expect(results(parked)).toEqual(["ok"]);
  });

  test("one that the server goes on with after its connection was lost is the same claim when it is repeated", async () => {
    const [worker, other] = [await open(), await open()];
    for (let n = 0; n < 6; n++) await made(worker.storage);
    const door = await other.pool.connect();
    await door.query(
      `select pg_advisory_lock(7, 7); create function "${schema}".pass() returns trigger language plpgsql as ` +
        `$$ begin perform pg_advisory_xact_lock_shared(7, 7); return new; end $$; ` +
        `create trigger pass before update on "${schema}".runs for each row execute function "${schema}".pass()`,
    );
    const connections: pg.PoolClient[] = [];
    worker.pool.on("acquire", (connection) => connections.push(connection));
    const request = claimOf({ limit: 2 });
    const first = worker.storage.claimRuns(request).catch(() => "lost");
    await waitingForLock(other.pool, schema);
    for (const connection of connections)
      (connection as unknown as { connection: pg.Connection }).connection.stream.destroy();
    expect(await first).toBe("lost");
    const second = worker.storage.claimRuns(request);
    await eventually(async () => {
      const { rows } = await other.pool.query(
        "select count(*)::integer as n from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory'",
      );
      return rows[0].n >= 2;
    });
    await door.query("select pg_advisory_unlock(7, 7)");
    const { runs } = await second;
    await door.query(`drop function "${schema}".pass cascade`);
    door.release();
    const { rows } = await other.pool.query(`select id from "${schema}".runs where claim_id = $1`, [
      request.claimId,
    ]);
    expect(runs.map(({ run }) => run.id).sort()).toEqual(rows.map((row) => row.id).sort());
    expect(runs).toHaveLength(2);
  });
});

describe("S2: the guard holds until the write is durable", () => {
  test("a run is not claimed while its holder's record is on the way, and the record counts", async () => {
    const [holder, other] = [await open(), await open()];
    const run = await made(holder.storage, { lease });
    now += 40_000;
    // Its statement has the run and waits for the place of the record.
    const place = await other.pool.connect();
    await place.query(
      `begin; insert into "${schema}".tasks (rk, seq, path, kind, status, attempts, started_at, write_id) ` +
        `select rk, 1, 'taken', 'task', 'COMPLETED', 1, 1, 'another' from "${schema}".runs where id = '${run}'`,
    );
    const written = holder.storage.commit([record(run, 1)]);
    await waitingForLock(other.pool, schema);
    const claim = await other.storage.claimRuns(claimOf());
    expect(claim.runs).toEqual([]);
    expect(claim.nextDue).toBe(now);
    await place.query("rollback");
    place.release();
    expect(results(await written)).toEqual(["ok"]);
    const again = await other.storage.claimRuns(claimOf());
    expect(again.runs.map((claimed) => [claimed.run.id, claimed.tasks.length])).toEqual([[run, 1]]);
    expect(results(await holder.storage.commit([record(run, 1, 2)]))).toEqual(["fenced"]);
  });

  test("a record does not wait for what else its batch brings", async () => {
    const [holder, other] = [await open(), await open()];
    const run = await made(holder.storage, { lease });
    const neighbour = await made(holder.storage, { lease });
    const held = holder.gate.holdAt("commit");
    const longer = { ...record(neighbour, 1), leaseUntil: now + 40_000 };
    const written = holder.storage.commit([record(run, 1), longer]);
    await held.reached;
    await eventually(async () => (await other.storage.listTasks(run, 0, 1_000)).tasks.length === 1);
    held.goOn();
    expect(results(await written)).toEqual(["ok", "ok"]);
  });

  test("a record that meets a claim on the way is busy, and fenced when that is through", async () => {
    const [holder, other] = [await open(), await open()];
    const run = await made(holder.storage, { lease });
    now += 40_000;
    const held = other.gate.holdAt("commit");
    const claim = other.storage.claimRuns(claimOf());
    await held.reached;
    const late = record(run, 1);
    expect(results(await holder.storage.commit([late]))).toEqual(["busy"]);
    held.goOn();
    expect((await claim).runs).toHaveLength(1);
    expect(results(await holder.storage.commit([late]))).toEqual(["fenced"]);
    expect((await holder.storage.listTasks(run, 0, 1_000)).tasks).toEqual([]);
  });

  test("of two writes that were both decided from one state the second is a conflict", async () => {
    const [one, other] = [await open(), await open()];
    const run = await made(one.storage);
    const cancel = (): RunWrite => ({
      runId: run,
      writeId: id("write"),
      guard: { statuses: ["PENDING"], inbox: 0 },
      run: { status: "CANCELED", finishedAt: now },
    });
    const held = one.gate.holdAt("commit");
    const first = one.storage.commit([cancel()]);
    await held.reached;
    const second = cancel();
    expect(results(await other.storage.commit([second]))).toEqual(["busy"]);
    held.goOn();
    expect(results(await first)).toEqual(["ok"]);
    expect(results(await other.storage.commit([second]))).toEqual(["final"]);
  });
});

describe("S6: no run is taken twice", () => {
  test("a claim passes over what another one is taking, and takes the rest", async () => {
    const [one, other] = [await open(), await open()];
    const runs = new Set([await made(one.storage), await made(one.storage)]);
    const held = one.gate.holdAt("commit");
    // With limits it is a transaction, which can be held up; without, one statement.
    const first = one.storage.claimRuns(claimOf({ limit: 1, limits: { limit: 1 } }));
    await held.reached;
    const second = await other.storage.claimRuns(claimOf());
    held.goOn();
    const taken = [...(await first).runs, ...second.runs].map(({ run }) => run.id);
    expect(taken).toHaveLength(2);
    expect(new Set(taken)).toEqual(runs);
  });
});

describe("S7: slots are decided under their lock", () => {
  const limits = { limit: 1 };
  const limited = { limitKeys: ["limit/k"] };

  test("of two claims at once only one gets the slot", async () => {
    const [one, other] = [await open(), await open()];
    for (let n = 0; n < 3; n++) await made(one.storage, limited);
    const held = one.gate.holdAt("commit");
    const first = one.storage.claimRuns(claimOf({ limits }));
    await held.reached;
    const second = other.storage.claimRuns(claimOf({ limits }));
    await waitingForLock(other.pool, schema);
    held.goOn();
    expect([...(await first).runs, ...(await second).runs]).toHaveLength(1);
  });

  test("a lease that ran out is not made longer once a claim has given its slot away", async () => {
    const [holder, other] = [await open(), await open()];
    const run = await made(holder.storage, limited);
    await holder.storage.claimRuns(claimOf({ limits }));
    const waiting = await made(other.storage, limited);
    now += 30_001;
    const held = other.gate.holdAt(/^update .*runs r set/);
    const claim = other.storage.claimRuns(claimOf({ limits, limit: 1, only: [waiting] }));
    await held.reached;
    const longer = { ...record(run, 1), leaseUntil: now + 30_000 };
    const extended = holder.storage.commit([longer]);
    await waitingForLock(holder.pool, schema);
    held.goOn();
    expect((await claim).runs).toHaveLength(1);
    expect(await extended).toMatchObject([{ result: "ok", leaseRefused: true }]);
  });

  test("a lease that is being made longer keeps its slot from a claim at that moment", async () => {
    const [holder, other] = [await open(), await open()];
    const run = await made(holder.storage, limited);
    await holder.storage.claimRuns(claimOf({ limits }));
    await made(other.storage, limited);
    now += 29_999;
    const held = holder.gate.holdAt("commit");
    const extended = holder.storage.commit([{ ...record(run, 1), leaseUntil: now + 30_000 }]);
    await held.reached;
    now += 2;
    const claim = other.storage.claimRuns(claimOf({ limits }));
    await waitingForLock(other.pool, schema);
    held.goOn();
    expect(await extended).toMatchObject([{ result: "ok" }]);
    expect((await claim).runs).toEqual([]);
  });
});

describe("S8: of a park and a signal at one moment the later sees the other", () => {
  test("a signal that meets a park on the way is busy, and then makes the run due", async () => {
    const [holder, other] = [await open(), await open()];
    const run = await made(holder.storage, { lease });
    const sender = await made(other.storage, { lease });
    const held = holder.gate.holdAt("commit");
    const parked = holder.storage.commit([park(run, 1, 0)]);
    await held.reached;
    const sent = signal(sender, run, 1);
    expect(results(await other.storage.commit([sent]))).toEqual(["busy"]);
    held.goOn();
    expect(results(await parked)).toEqual(["ok"]);
    expect(results(await other.storage.commit([sent]))).toEqual(["ok"]);
    const { runs } = await other.storage.claimRuns(claimOf());
    expect(runs.map((claimed) => [claimed.run.id, claimed.signals.length])).toEqual([[run, 1]]);
  });

  test("a park that meets a signal on the way is busy, and then a conflict with the signal", async () => {
    const [holder, other] = [await open(), await open()];
    const run = await made(holder.storage, { lease });
    const sender = await made(other.storage, { lease });
    const held = other.gate.holdAt("commit");
    const sent = other.storage.commit([signal(sender, run, 1)]);
    await held.reached;
    const parking = park(run, 1, 0);
    expect(results(await holder.storage.commit([parking]))).toEqual(["busy"]);
    held.goOn();
    expect(results(await sent)).toEqual(["ok"]);
    expect(await holder.storage.commit([parking])).toMatchObject([
      { result: "conflict", inbox: 1 },
    ]);
    expect(await holder.storage.listSignals(run)).toHaveLength(1);
  });

  test("a record and a signal for its run do not hold each other up", async () => {
    const [holder, other] = [await open(), await open()];
    const run = await made(holder.storage, { lease });
    const sender = await made(other.storage, { lease });
    expect(results(await other.storage.commit([signal(sender, run, 1)]))).toEqual(["ok"]);
    expect(await holder.storage.commit([record(run, 1)])).toMatchObject([
      { result: "ok", inbox: 1 },
    ]);
  });
});

describe("creations at one moment", () => {
  test("of two with one idempotency key one makes its run, and the other is answered with it", async () => {
    const [one, other] = [await open(), await open()];
    const element = () => ({
      createId: id("create"),
      groups: [
        {
          first: {
            id: id("run"),
            jobId: "job",
            version: "1.0.0",
            status: "PENDING" as const,
            payload: "{}",
            wakeAt: 1,
            idempotencyKey: "key",
            fingerprint: "f",
          },
        },
      ],
    });
    const [mine, theirs] = [element(), element()];
    const held = one.gate.holdAt("commit");
    const first = one.storage.createRuns([mine]);
    await held.reached;
    const second = other.storage.createRuns([theirs]);
    await waitingForLock(other.pool, schema);
    held.goOn();
    const made = mine.groups[0]?.first.id;
    expect(await first).toMatchObject([{ groups: [{ first: { id: made, created: true } }] }]);
    expect(await second).toMatchObject([{ groups: [{ first: { id: made, created: false } }] }]);
  });

  test("of two with one id one makes the run, and the other is told that it is there", async () => {
    const [one, other] = [await open(), await open()];
    const first = {
      id: id("run"),
      jobId: "job",
      version: "1.0.0",
      status: "PENDING" as const,
      payload: "{}",
      wakeAt: 1,
    };
    const create = (storage: PostgresStorage<unknown>) =>
      storage.createRuns([{ createId: id("create"), groups: [{ first }] }]);
    const answers = (await Promise.all([create(one.storage), create(other.storage)])).flat();
    const created = answers.map(
      (answer) => answer.result === "ok" && answer.groups[0]?.first.created,
    );
    expect(created.sort()).toEqual([false, true]);
  });
});
