import { createClient, eventTrigger, invokeTrigger, type Storage } from "pawl";
import { testStorage } from "pawl/adapter-kit";
import { type PostgresOptions, postgres } from "pawl/postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../eventually.js";
import { schemaName } from "./clients.js";
import { type PgBouncer, pgbouncerBinary, startPgBouncer } from "./pgbouncer.js";
import { deleteAll } from "./tables.js";
import { Workload } from "./workload.js";

const isAbsent = pgbouncerBinary() === undefined;
if (isAbsent) console.log("PgBouncer: absent, it is not installed here; its tests are skipped");

/** Far fewer than the connections of the clients in front of it. */
const POOL_SIZE = 3;

let bouncer: PgBouncer;
const ends: (() => unknown)[] = [];
const admin = new pg.Pool({ connectionString: inject("postgresUrl"), max: 1 });

beforeAll(async () => {
  if (!isAbsent) bouncer = await startPgBouncer(inject("postgresUrl"), POOL_SIZE);
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(async () => {
  await bouncer?.stop();
  await admin.end();
});

function newSchema(): string {
  const schema = schemaName();
  ends.push(() => admin.query(`drop schema if exists "${schema}" cascade`));
  return schema;
}

function through(schema: string, more: PostgresOptions = {}): Storage {
  return postgres({ url: bouncer.url, schema, prepare: false, ...more });
}

/** Those that no test of the suite uses at the moment, emptied. */
const emptySchemas: string[] = [];
afterAll(async () => {
  for (const schema of emptySchemas) await admin.query(`drop schema if exists "${schema}" cascade`);
});

testStorage({
  name: "postgres (pg, through PgBouncer)",
  runner: { describe: describe.skipIf(isAbsent), test },
  skip: [
    {
      reason: "the server's clock is the store's: set back, it goes back",
      tests: ["it never goes back, whatever becomes of the wall clock"],
    },
  ],
  create: (clock) => {
    const schema = emptySchemas.pop() ?? schemaName();
    return {
      open: () => through(schema, { clock, maxConnections: 4 }),
      dispose: async () => {
        await admin.query(deleteAll(schema));
        emptySchemas.push(schema);
      },
    };
  },
});

describe.skipIf(isAbsent)("through PgBouncer in transaction mode", () => {
  test("three processes share waits, events and the slots of a limit", async () => {
    const schema = newSchema();
    const inside = new Set<string>();
    let most = 0;
    const clients = [0, 1, 2].map((number) => {
      const client = createClient({ id: `app${number}`, storage: through(schema), pollMs: 100 });
      client.defineJob({
        id: "limited",
        trigger: invokeTrigger(),
        concurrencyLimit: 2,
        run: async (_, io, { run }) => {
          const first = await io.runTask("first", async () => {
            inside.add(run.id);
            most = Math.max(most, inside.size);
            await new Promise((resolve) => setTimeout(resolve, 5));
            inside.delete(run.id);
            return 1;
          });
          await io.wait("pause", { milliseconds: 50 });
          return first + (await io.runTask("second", () => 1));
        },
      });
      client.defineJob({
        id: "asks",
        trigger: invokeTrigger(),
        run: (_, io) => io.waitForEvent("answer", { name: "answer" }),
      });
      client.defineJob({
        id: "hears",
        trigger: eventTrigger({ name: "answer" }),
        run: (payload, io) => io.runTask("keep", () => payload),
      });
      ends.push(() => client.stop({ timeout: 0 }));
      return client;
    });
    const [sender, other] = clients;
    if (sender === undefined || other === undefined) throw new Error("no clients");
    await Promise.all(clients.map((client) => client.start()));
    const limited = await Promise.all(
      Array.from({ length: 30 }, (_, n) => sender.invoke("limited", { n })),
    );
    const asking = await Promise.all(
      Array.from({ length: 10 }, (_, n) => sender.invoke("asks", { n })),
    );
    await eventually(async () =>
      (await Promise.all(asking.map(({ id }) => sender.getRun(id)))).every(
        (run) => run?.status === "WAITING",
      ),
    );
    const { runIds } = await other.sendEvent({ name: "answer", payload: { is: 42 } });
    const outputs = async (ids: readonly string[]) =>
      Promise.all(ids.map(async (id) => (await sender.waitForRun(id)).output));
    expect(new Set(await outputs(limited.map(({ id }) => id)))).toEqual(new Set([2]));
    expect(await outputs(runIds)).toEqual([{ is: 42 }]);
    const answers = (await outputs(asking.map(({ id }) => id))) as { payload: unknown }[];
    expect(answers.map(({ payload }) => payload)).toEqual(asking.map(() => ({ is: 42 })));
    expect(most).toBeLessThanOrEqual(2);
  });

  test("a transactional task goes through the application's own pool", async () => {
    const schema = newSchema();
    const pool = new pg.Pool({ connectionString: bouncer.url, max: 4 });
    ends.push(() => pool.end());
    const client = createClient({ storage: postgres({ client: pool, schema, prepare: false }) });
    ends.push(() => client.stop({ timeout: 0 }));
    client.defineJob({
      id: "orders",
      trigger: invokeTrigger(),
      run: (_, io) =>
        io.runTask(
          "order",
          async (_task, _io, tx) => {
            await tx.query(`insert into "${schema}".orders values (1)`);
            return "ordered";
          },
          { transaction: true },
        ),
    });
    await client.start();
    await admin.query(`create table "${schema}".orders (number integer)`);
    const run = await client.waitForRun(await client.invoke("orders", {}));
    expect(run.output).toBe("ordered");
    expect((await admin.query(`select from "${schema}".orders`)).rowCount).toBe(1);
  });

  test("work goes on after the pooler was killed twice and came back", async () => {
    const schema = newSchema();
    const work = new Workload(through(schema), postgres({ url: inject("postgresUrl"), schema }));
    ends.push(() => work.stop());
    await work.start();
    for (const reached of [200, 600]) {
      await eventually(() => work.effects > reached);
      await bouncer.kill();
      const troubles = work.troubles.length;
      await eventually(() => work.troubles.length > troubles);
      await bouncer.start();
    }
    await work.ended();
    expect(await work.faults()).toEqual([]);
    expect(work.troubles.length).toBeGreaterThan(0);
  });

  test("its price is printed: the same work with it and without", async () => {
    const url = inject("postgresUrl");
    const ways = {
      "directly, prepared": { url },
      "directly, prepare: false": { url, prepare: false },
      "through PgBouncer": { url: bouncer.url, prepare: false },
    };
    const figures = new Map<string, Measured[]>(Object.keys(ways).map((way) => [way, []]));
    // In turns, so that what else the machine does befalls all of them.
    for (let round = 0; round < ROUNDS; round++) {
      for (const [way, options] of Object.entries(ways)) {
        const storage = postgres({ ...options, schema: newSchema() });
        figures.get(way)?.push(await measured(storage));
      }
    }
    for (const [way, rounds] of figures) {
      const us = median(rounds.map(({ oneByOneUs }) => oneByOneUs));
      const perSecond = median(rounds.map((round) => round.perSecond));
      console.log(`${way}: ${us} µs a task of one run, ${perSecond} tasks/s of ${RUNS} runs`);
      expect(rounds).toHaveLength(ROUNDS);
    }
  });
});

/** One says little on a machine that does other things. */
const ROUNDS = Number(process.env.PAWL_PRICE_ROUNDS ?? 1);
const SEQUENTIAL = 200;
const RUNS = 300;
const TASKS = 10;

interface Measured {
  readonly oneByOneUs: number;
  readonly perSecond: number;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function measured(storage: Storage): Promise<Measured> {
  const client = createClient({ storage, concurrency: RUNS, pollMs: 50 });
  ends.push(() => client.stop({ timeout: 0 }));
  const job = client.defineJob({
    id: "work",
    trigger: invokeTrigger(),
    run: async (tasks, io) => {
      const began = performance.now();
      for (let n = 0; n < (tasks as number); n++) await io.runTask(["t", n], () => n);
      return performance.now() - began;
    },
  });
  await client.start();
  await client.waitForRun(await client.invoke(job, SEQUENTIAL));
  const { output } = await client.waitForRun(await client.invoke(job, SEQUENTIAL));
  const began = performance.now();
  const runs = await Promise.all(Array.from({ length: RUNS }, () => client.invoke(job, TASKS)));
  for (const run of runs) await client.waitForRun(run);
  const seconds = (performance.now() - began) / 1_000;
  return {
    oneByOneUs: Math.round(((output as number) * 1_000) / SEQUENTIAL),
    perSecond: Math.round((RUNS * TASKS) / seconds),
  };
}
