import { setTimeout as pause } from "node:timers/promises";
import { postgres } from "pawl/postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../eventually.js";
import { CommitWatch } from "./commit-watch.js";
import { cuts, restarts, terminations } from "./fault-cycles.js";
import { startProxy } from "./proxy.js";
import { type OwnServer, startOwnServer } from "./server.js";
import { Workload } from "./workload.js";

/** G32, G33: whatever becomes of the server or of the way to it, work goes on by itself, and nothing is lost or doubled. */
let server: OwnServer;
let admin: pg.Pool;
const ends: (() => unknown)[] = [];
let schemas = 0;
const newSchema = () => `faults_${schemas++}`;

beforeAll(async () => {
  server = await startOwnServer(["max_connections=20"]);
  admin = new pg.Pool({ connectionString: server.url, max: 1, application_name: "admin" });
  admin.on("error", () => {});
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(async () => {
  await admin.end();
  await server.stop();
});

async function started(storage: ReturnType<typeof postgres>, schema: string) {
  const work = new Workload(storage, postgres({ url: server.url, schema }));
  ends.push(() => work.stop());
  await work.start();
  return work;
}

function workload(url = server.url) {
  const schema = newSchema();
  return started(postgres({ url, schema }), schema);
}

/** One of any, and every other time one that has something to do, if there is one. */
async function terminateOne(): Promise<readonly { readonly state: string }[]> {
  const wanted = Math.random() < 0.5 ? "state = 'idle'" : "random()";
  const { rows } = await admin.query(
    `select state, pg_terminate_backend(pid) from (select pid, state from pg_stat_activity where application_name <> 'admin' and backend_type = 'client backend' order by ${wanted}, random() limit 1) as victim`,
  );
  return rows;
}

/** From the server's return, in milliseconds. */
async function untilWorkGoesOn(work: Workload): Promise<number> {
  const since = performance.now();
  // All that there was may have been done before the fault came.
  if (work.left === 0) await work.refill(1);
  const { done } = work;
  await eventually(() => work.done > done);
  return performance.now() - since;
}

function report(what: string, work: Workload, more: object): void {
  const { done: tasks, effects, troubles } = work;
  const repeated = effects - tasks;
  console.log(what, { tasks, repeated, failedCalls: troubles.length, ...more });
}

/** A guard against hanging. */
const timeoutFor = (cycles: number) => 60_000 + cycles * 5_000;

async function allIsWell(work: Workload): Promise<void> {
  await work.ended();
  expect(await work.faults()).toEqual([]);
}

const HANGING_WRITES = [5, 40] as const;

/** A sequence counts on when its statement is broken off, so what is sent again is not the one that hangs. */
async function makeSomeWritesHang(schema: string): Promise<void> {
  const [every, last] = HANGING_WRITES;
  await admin.query(`
    create sequence ${schema}.writes;
    create function ${schema}.hang() returns trigger language plpgsql as $$
      declare nth bigint := nextval('${schema}.writes');
      begin
        if nth <= ${last} and nth % ${every} = 0 then perform pg_sleep(3600); end if;
        return null;
      end $$;
    create trigger hang after insert on ${schema}.tasks execute function ${schema}.hang();
    create trigger hang after update on ${schema}.runs execute function ${schema}.hang();
  `);
}

const codes = (work: Workload) =>
  work.troubles.map((error) => {
    const { code, cause } = error as { code?: string; cause?: { code?: string } };
    return [code, cause?.code].join(" ");
  });

describe("the server", () => {
  test.each([
    ["fast", Math.min(restarts, 3)],
    ["immediate", restarts],
  ] as const)(
    `is restarted (%s, %i times)`,
    async (mode, times) => {
      const work = await workload();
      let longestMs = 0;
      for (let n = 0; n < times; n++) {
        await work.refill(400);
        const before = work.done;
        await eventually(() => work.done > before + 20);
        await pause(Math.random() * 50);
        await server.restart(mode);
        longestMs = Math.max(longestMs, await untilWorkGoesOn(work));
      }
      await allIsWell(work);
      report(`${times} restarts (${mode})`, work, { workGoesOnAfterMs: Math.round(longestMs) });
      expect(work.troubles.length).toBeGreaterThan(0);
    },
    timeoutFor(restarts),
  );

  test(
    `terminates connections at any moment (${terminations})`,
    async () => {
      const work = await workload();
      let terminated = 0;
      let atWork = 0;
      while (terminated < terminations || atWork < terminations / 10) {
        await work.refill(400);
        await pause(Math.random() * 20);
        for (const { state } of await terminateOne()) {
          terminated++;
          if (state !== "idle") atWork++;
        }
      }
      await allIsWell(work);
      report(`${terminated} connections terminated`, work, { inTheMiddleOfSomething: atWork });
    },
    timeoutFor(terminations),
  );

  test("takes no writes for a while, as a standby before it is the primary", async () => {
    const work = await workload();
    const takesWrites = async (on: boolean) => {
      const { rows } = await admin.query(
        "select set_config('default_transaction_read_only', 'off', false)",
      );
      expect(rows).toHaveLength(1);
      await admin.query(`alter system set default_transaction_read_only = ${on ? "off" : "on"}`);
      await admin.query("select pg_reload_conf()");
    };
    await eventually(() => work.effects > 200);
    await takesWrites(false);
    await eventually(() => codes(work).includes("STORAGE_READONLY 25006"));
    await takesWrites(true);
    await allIsWell(work);
  });

  test("has no connection left, since others have taken them all", async () => {
    const work = await workload();
    await eventually(() => work.effects > 200);
    const others: pg.Client[] = [];
    await eventually(async () => {
      await admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name not in ('admin', 'others') and backend_type = 'client backend'",
      );
      const client = new pg.Client({ connectionString: server.url, application_name: "others" });
      client.on("error", () => {});
      await client.connect().then(
        () => others.push(client),
        () => {},
      );
      return codes(work).includes("STORAGE_FAILED 53300");
    });
    for (const client of others) await client.end();
    await allIsWell(work);
  });
});

test("a pool whose statements may take too long loses none of them", async () => {
  const schema = newSchema();
  const hurried = new pg.Pool({ connectionString: server.url, max: 6, statement_timeout: 500 });
  ends.push(() => hurried.end());
  const patient = postgres({ url: server.url, schema });
  await patient.init({ clock: { now: Date.now } as never });
  ends.push(() => patient.close());
  await makeSomeWritesHang(schema);
  const work = await started(postgres({ client: hurried, schema }), schema);
  await allIsWell(work);
  const { rows } = await admin.query(
    `select last_value >= ${HANGING_WRITES[1]} as "all" from ${schema}.writes`,
  );
  expect(rows).toEqual([{ all: true }]);
});

describe("the way to the server", () => {
  test(
    `is cut ${cuts} times anywhere in a commit or in the answer to it, which is lost`,
    async () => {
      const proxy = await startProxy(server.url);
      ends.push(proxy.close);
      const work = await workload(proxy.url);
      const watch = new CommitWatch();
      let commits = 0;
      const made = { request: 0, answer: 0 };
      const all = () => made.request + made.answer;
      proxy.onRequest((data, connection) => {
        if (!watch.commits(data, connection) || all() === cuts) return "pass";
        if (++commits % 5 !== 0) return "pass";
        const side = all() % 3 === 0 ? "request" : "answer";
        made[side]++;
        return { in: side, share: Math.random() };
      });
      while (all() < cuts) {
        const before = all();
        await work.refill(400);
        await eventually(() => all() > before);
      }
      await allIsWell(work);
      report(`${all()} cuts at a commit`, work, { ...made, commits });
    },
    timeoutFor(cuts),
  );

  test("is dead without a word, on every connection that there was", async () => {
    const proxy = await startProxy(server.url);
    ends.push(proxy.close);
    const work = await workload(proxy.url);
    await eventually(() => work.effects > 200);
    proxy.loseAll();
    await allIsWell(work);
  });
});
