import { type Client, createClient, invokeTrigger } from "pawl";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import type { Driver, Parameter, Session } from "../../src/storage/postgres/driver.js";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { PostgresStorage } from "../../src/storage/postgres/storage.js";
import { schemaName } from "./clients.js";

/** Finished runs, a tenth as many queued ones, and a hundredth waiting. PAWL_TEST_PLAN_RUNS=1000000 for the full size. */
const FINISHED = Number(process.env.PAWL_TEST_PLAN_RUNS ?? 50_000);
const QUEUED = FINISHED / 10;
const WAITING = FINISHED / 100;
/** Of the finished ones, before somebody looks. */
const PURGED = 50;
/** Rows that a statement may look at, however many there are. */
const MOST_ROWS = 2_000;

const schema = schemaName();
let pool: pg.Pool;

interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly Plan[];
}

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

/** Explains each statement of the adapter before it is sent: executed, and undone. */
class Explainer {
  /** The nodes of all its executions. */
  readonly plans = new Map<string, Plan[]>();

  around(inner: Driver): Driver {
    const inTransaction = (work: (session: Session) => Promise<void>) => inner.transaction(work);
    return {
      ...this.#session(inner, inTransaction),
      name: inner.name,
      insert: async (text, parameters) => {
        await this.#explainApart(inTransaction, text, parameters);
        return inner.insert(text, parameters);
      },
      planned: async (text, parameters, once) => {
        await inner.transaction((session) =>
          this.#explainApart((explain) => explain(session), text, parameters, session),
        );
        return inner.planned(text, parameters, once);
      },
      transaction: (work) =>
        inner.transaction((session) => {
          const explained = this.#session(session, (explain) => explain(session));
          return work({ ...explained, withCommit: (text) => session.withCommit(text) });
        }),
      begin: (work) => inner.begin(work),
      within: (tx) => inner.within(tx),
      listen: (channel, heard) => inner.listen(channel, heard),
      close: () => inner.close(),
    };
  }

  #session(
    session: Session,
    inTransaction: (work: (session: Session) => Promise<void>) => Promise<void>,
  ): Session {
    return {
      script: (text) => session.script(text),
      query: async (text, parameters = []) => {
        if (isOfHotPath(text)) await this.#explainApart(inTransaction, text, parameters, session);
        return session.query(text, parameters);
      },
    };
  }

  #explainApart(
    inTransaction: (work: (session: Session) => Promise<void>) => Promise<void>,
    text: string,
    parameters: readonly Parameter[],
    session?: Session,
  ): Promise<void> {
    return inTransaction(async (other) => {
      await other.script("savepoint explained");
      // Only transactions of the adapter's own plan so.
      if (other !== session) await other.script("set local enable_seqscan = on");
      await this.#explain(other, text, parameters);
      await other.script("rollback to savepoint explained");
    });
  }

  async #explain(session: Session, text: string, parameters: readonly Parameter[]): Promise<void> {
    // Without a look at the values, as a statement is planned that a connection keeps.
    await session.script("set local plan_cache_mode = force_generic_plan");
    await session.script(`prepare explained as ${text}`);
    const values = parameters.map((value) =>
      value === null ? "null" : `'${value.replaceAll("'", "''")}'`,
    );
    const execution = values.length === 0 ? "explained" : `explained(${values.join(", ")})`;
    const [row] = await session.query(`explain (analyze, format json) execute ${execution}`);
    await session.script("deallocate explained");
    const [{ Plan: plan }] = JSON.parse(String(row?.[0])) as [{ Plan: Plan }];
    this.plans.set(text, [...(this.plans.get(text) ?? []), ...nodesOf(plan)]);
  }
}

function isOfHotPath(text: string): boolean {
  return !/pg_catalog|\.meta |^select floor|pg_advisory/.test(text);
}

const explainer = new Explainer();
let storage: PostgresStorage<unknown>;
let client: Client;
/** Before the tables had statistics. */
let fresh: Explainer["plans"];
let hot: Explainer["plans"];
let inspected: Explainer["plans"];

beforeAll(async () => {
  pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 4 });
  const driver = explainer.around(new PgDriver(pool, { prepare: true, ownsPool: false }));
  storage = new PostgresStorage({ open: () => driver, schema, clock: undefined, notify: true });
  client = createClient({ storage });
  const of = { trigger: invokeTrigger(), concurrencyLimit: 1, run: () => 1 };
  client.defineJob({ id: "job-9", ...of });
  await storage.init();
  await fill();
  await workload();
  fresh = new Map(explainer.plans);
  explainer.plans.clear();
  await gatherStatistics();
  await workload();
  await purge();
  hot = new Map(explainer.plans);
  explainer.plans.clear();
  await inspection();
  inspected = new Map(explainer.plans);
}, 600_000);

afterAll(async () => {
  await client.stop();
  await pool.query(`drop schema if exists "${schema}" cascade`);
  await pool.end();
});

async function fill(): Promise<void> {
  const now = Date.now();
  for (const table of ["runs", "tasks", "values"])
    await pool.query(`alter table "${schema}".${table} set (autovacuum_enabled = off)`);
  const runs = (kind: string, count: number, columns: string) =>
    pool.query(
      `insert into "${schema}".runs (id, job_id, version, status, epoch, execution_count, priority, rank, internal, is_test, created_at, payload, finished_at, due_at, wake_at, started_at) ` +
        `select '${kind}-' || n, 'job-' || n % 50, '1.0.0', ${columns} from generate_series(1, ${count}) n`,
    );
  const ended = `'COMPLETED', 2, 1, 0, 0, false, false, ${now} - n, '{}', ${now} - n, null, null, ${now} - n`;
  const queued = `'PENDING', 0, 0, 0, 1, false, false, ${now} - n, '{}', null, ${now} - n, ${now} - n, null`;
  const waiting = `'WAITING', 2, 1, 0, 0, false, false, ${now} - n, '{}', null, ${now + 3_600_000} + n, ${now} + n, ${now} - n`;
  await runs("ended", FINISHED, ended);
  await runs("queued", QUEUED, queued);
  await runs("waiting", WAITING, waiting);
  await pool.query(
    `update "${schema}".runs set id = 'limited', limit_keys = '{limit/x}' where id = 'queued-9'`,
  );
  await pool.query(
    `update "${schema}".runs set status = 'FAILED' where status = 'COMPLETED' and rk % 1000 = 0`,
  );
  await pool.query(
    `insert into "${schema}".tasks (rk, seq, path, kind, status, attempts, started_at, finished_at, write_id, output, topics) ` +
      `select rk, 1, '["t"]', 'task', case when status = 'WAITING' then 'WAITING' else 'COMPLETED' end, 1, 1, 1, 'w' || rk, '1', ` +
      `case when status = 'WAITING' then array['topic ' || rk] end from "${schema}".runs`,
  );
  await pool.query(
    `insert into "${schema}".values (key, version, value) select 'k' || n, 1, '{}' from generate_series(1, 5000) n`,
  );
}

async function gatherStatistics(): Promise<void> {
  for (const table of ["tasks", "values"]) await pool.query(`analyze "${schema}".${table}`);
  // In vain as long as another test has an older transaction open.
  while (!(await isVacuumed())) await pool.query(`vacuum analyze "${schema}".runs`);
}

async function isVacuumed(): Promise<boolean> {
  const { rowCount } = await pool.query(
    "select from pg_class where oid = $1::regclass and relallvisible > relpages * 0.9",
    [`"${schema}".runs`],
  );
  return rowCount === 1;
}

let ids = 0;
/** Runs that a worker found which does not know the jobs of the backlog. */
const behindBacklog: number[] = [];
const newRun = (more: object = {}) => ({
  id: `new-${ids++}`,
  jobId: "job-1",
  version: "1.0.0",
  status: "PENDING" as const,
  payload: "{}",
  wakeAt: 1,
  ...more,
});
const element = (more?: object) => ({
  createId: `c${ids++}`,
  groups: [{ first: newRun(more) }],
});

/** What an application does all day long. */
async function workload(): Promise<void> {
  await storage.createRuns(Array.from({ length: 20 }, () => element()));
  await storage.createRuns([element({ idempotencyKey: "key", fingerprint: "f" })]);
  await storage.createRuns([{ ...element(), expect: [{ key: "k1", version: 1 }] }]);
  const claim = (more: object = {}) =>
    storage.claimRuns({
      claimId: `claim${ids++}`,
      workerId: "w",
      jobIds: ["job-1", "job-2", "job-3"],
      limit: 16,
      leaseMs: 30_000,
      limits: {},
      suspects: 1,
      taskBudget: 1_000_000,
      ...more,
    });
  const { runs } = await claim();
  await claim({ limits: { limit: 3 } });
  await claim({ only: ["waiting-3"] });
  await claim({ jobIds: ["nobody-has-this"] });
  await storage.createRuns([element({ jobId: "rare", wakeAt: Date.now() })]);
  behindBacklog.push((await claim({ jobIds: ["rare"] })).runs.length);
  const [one, two, three] = runs.map(({ run }) => run);
  if (one === undefined || two === undefined || three === undefined) throw new Error("no runs");
  const task = (seq: number) => ({
    ...{ path: `["new",${ids++}]`, seq, kind: "task", status: "COMPLETED" as const, attempts: 1 },
    ...{ output: "1", error: null, startedAt: 1, finishedAt: 2, wakeAt: null, data: null },
  });
  const write = (run: { id: string; epoch: number }, more: object) => ({
    ...{ runId: run.id, writeId: `write${ids++}`, guard: { epoch: run.epoch } },
    ...more,
  });
  await storage.commit([write(one, { tasks: [task(2)] })]);
  await storage.commit([one, two].map((run) => write(run, { tasks: [task(3)] })));
  const signal = { runId: "waiting-5", id: "s", topic: "t", ref: null };
  const line = {
    ordinal: 1,
    stream: "log",
    path: "",
    level: "info",
    message: "m",
    data: null,
    at: 1,
  };
  await storage.commit([
    write(one, { tasks: [task(4)], leaseUntil: Date.now() + 60_000, logs: [line] }),
    write(two, { signals: [signal], runs: [newRun({ parentId: two.id, parentPath: "p" })] }),
    write(three, {
      tasks: [task(2)],
      watches: [{ targetId: "waiting-6", signalId: "x", topic: "t" }],
      run: { status: "WAITING" },
      release: { wakeAt: Date.now() + 1_000_000, wakeSignals: 1 },
    }),
  ]);
  await storage.getRuns(["waiting-1", "ended-7"]);
  await storage.listTasks("waiting-1", 0, 1_000);
  await storage.listSignals("waiting-5");
  await storage.listWaiting(["topic 1", "topic 2"], { limit: 100 });
  await storage.listLogs(one.id, { limit: 10 });
  await storage.getValue("k7");
  await storage.setValue("k7", "2", 1);
  await storage.listValues("k49", { limit: 10 });
  await storage.listRuns({ limit: 20 });
  await storage.listRuns({ limit: 20, jobIds: ["job-7"] });
}

async function purge(): Promise<void> {
  await storage.purge({
    finishedBefore: Date.now() - FINISHED / 2,
    dedupeUntil: Date.now() + 1,
    limit: PURGED,
  });
}

/** What people ask, and not too often. */
async function inspection(): Promise<void> {
  for (const id of ["waiting-7", "queued-8", "limited", "ended-9"])
    expect(await client.explainRun(id)).toContain(`Run ${id} `);
  for (const status of ["FAILED", "QUEUED", "EXECUTING", "COMPLETED"] as const)
    await client.getRuns({ status, take: 20 });
  const { runs } = await client.stats();
  expect(runs.WAITING).toBeGreaterThanOrEqual(WAITING - 10);
  expect((runs.COMPLETED ?? 0) + (runs.FAILED ?? 0)).toBe(FINISHED - PURGED);
  expect(runs.QUEUED).toBeGreaterThanOrEqual(QUEUED - 60);
}

/** Of one statement: what it reads, and how many rows it looks at there. */
interface Scan {
  readonly type: string;
  readonly relation: string;
  readonly rows: number;
}

function scansOf(nodes: readonly Plan[]): Scan[] {
  return nodes.flatMap((node) => {
    const relation = node["Relation Name"];
    const removed =
      (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0);
    const rows = node["Actual Loops"] * (node["Actual Rows"] + removed);
    return relation === undefined ? [] : [{ type: node["Node Type"], relation, rows }];
  });
}

test.each([
  ["without statistics", () => fresh],
  ["with statistics", () => hot],
])(
  "on tables %s each statement of the hot paths finds its rows by an index, and looks at few, however many there are",
  (_, plans) => {
    const faults: string[] = [];
    const relations = new Set<string>();
    for (const [text, nodes] of plans()) {
      const scans = scansOf(nodes);
      for (const { relation } of scans) relations.add(relation);
      const full = scans.find(({ type }) => type === "Seq Scan");
      const most = Math.max(0, ...scans.map(({ rows }) => rows));
      if (full !== undefined) faults.push(`reads all of ${full.relation}: ${text}`);
      if (most > MOST_ROWS) faults.push(`looks at ${most} rows: ${text}`);
    }
    expect(faults).toEqual([]);
    expect(plans().size).toBeGreaterThan(30);
    expect([...relations]).toEqual(expect.arrayContaining(["runs", "tasks", "signals", "values"]));
  },
);

test("a run is found behind a backlog of other jobs", () => {
  expect(behindBacklog).toEqual([1, 1]);
});

test("stats and explainRun, and lists by status, look at no run that has ended, unless it is listed", () => {
  const faults: string[] = [];
  for (const [text, nodes] of inspected) {
    // An index alone tells how many have ended or are due.
    const looked = scansOf(nodes).filter(({ type }) => type !== "Index Only Scan");
    const full = looked.find(({ type }) => type === "Seq Scan");
    const most = Math.max(0, ...looked.map(({ rows }) => rows));
    // Those that wait for a worker are gathered where somebody wants to see them.
    const bound = WAITING + (text.includes("due_at is not null and case") ? QUEUED : 0) + 100;
    if (full !== undefined) faults.push(`reads all of ${full.relation}: ${text}`);
    if (most > bound) faults.push(`looks at ${most} rows: ${text}`);
  }
  expect(faults).toEqual([]);
  expect(inspected.size).toBeGreaterThan(10);
});
