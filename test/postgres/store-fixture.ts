import pg from "pg";
import { afterAll, inject } from "vitest";
import type { ClaimRequest, NewRun, RunWrite, TaskWrite } from "../../src/core/storage.js";
import { PgDriver } from "../../src/storage/postgres/pg-driver.js";
import { PostgresStorage } from "../../src/storage/postgres/storage.js";
import { schemaName } from "./clients.js";

/** Processes on one schema, which is dropped after the tests of the file, and what they ask for. */
export class StoreFixture {
  readonly schema = schemaName();
  readonly pools: pg.Pool[] = [];
  now = 1_000_000;
  #ids = 0;

  constructor() {
    afterAll(async () => {
      await this.pools[0]?.query(`drop schema if exists "${this.schema}" cascade`);
      await Promise.all(this.pools.map((pool) => pool.end()));
    });
  }

  id(what: string): string {
    return `${what}-${this.#ids++}`;
  }

  /** `sent`: each statement on its own, and "transaction" for one that begins. */
  async open({ notify = false } = {}) {
    const pool = new pg.Pool({ connectionString: inject("postgresUrl"), max: 4 });
    this.pools.push(pool);
    const sent: string[] = [];
    const driver = new PgDriver(pool, { prepare: true, ownsPool: false });
    const query = driver.query.bind(driver);
    driver.query = (text, parameters) => {
      sent.push(text);
      return query(text, parameters);
    };
    const planned = driver.planned.bind(driver);
    driver.planned = (text, parameters, once) => {
      sent.push(text);
      return planned(text, parameters, once);
    };
    const transaction = driver.transaction.bind(driver);
    driver.transaction = (work) => {
      sent.push("transaction");
      return transaction((session) =>
        work({
          ...session,
          query: (text, parameters) => {
            sent.push(text);
            return session.query(text, parameters);
          },
        }),
      );
    };
    const clock = { now: () => this.now };
    const { schema } = this;
    const storage = new PostgresStorage({ open: () => driver, schema, clock, notify });
    await storage.init();
    return { storage, pool, sent };
  }

  newRun(more: Partial<NewRun> = {}): NewRun {
    const run = { jobId: "job", version: "1.0.0", status: "PENDING" as const, payload: "{}" };
    return { id: this.id("run"), ...run, wakeAt: 1, ...more };
  }

  async made({ storage }: Process, more: Partial<NewRun> = {}): Promise<string> {
    const first = this.newRun(more);
    await storage.createRuns([{ createId: this.id("create"), groups: [{ first }] }]);
    return first.id;
  }

  claim(more: Partial<ClaimRequest> = {}): ClaimRequest {
    return {
      claimId: this.id("claim"),
      workerId: "worker",
      jobIds: ["job"],
      limit: 10,
      leaseMs: 30_000,
      limits: {},
      suspects: 1,
      taskBudget: 1_000_000,
      ...more,
    };
  }

  write(runId: string, epoch: number, more: Partial<RunWrite> = {}): RunWrite {
    return { runId, writeId: this.id("write"), guard: { epoch }, ...more };
  }

  /** All columns of a run but those that tell one from another. */
  async rowOf(runId: string) {
    const [pool] = this.pools;
    const { rows } = (await pool?.query(`select * from "${this.schema}".runs where id = $1`, [
      runId,
    ])) ?? { rows: [] };
    const { rk, id, write_id, create_id, claim_id, ...row } = rows[0];
    return { ...row, isClaimed: claim_id !== null };
  }

  /** What is recorded of a run, but by which write. */
  async recordsOf(runId: string) {
    const [pool] = this.pools;
    const { rows } = (await pool?.query(
      `select t.* from "${this.schema}".tasks t join "${this.schema}".runs r using (rk) where r.id = $1 order by t.seq`,
      [runId],
    )) ?? { rows: [] };
    return rows.map(({ rk, write_id, ...record }) => record);
  }
}

export type Process = Awaited<ReturnType<StoreFixture["open"]>>;

export const task = (path: string, seq: number, more: Partial<TaskWrite> = {}): TaskWrite => ({
  path,
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
  ...more,
});
