import { postgres } from "pawl/postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "./clients.js";
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

async function allIsWell(work: Workload): Promise<void> {
  await work.ended();
  expect(await work.faults()).toEqual([]);
}

const codes = (work: Workload) =>
  work.troubles.map((error) => {
    const { code, cause } = error as { code?: string; cause?: { code?: string } };
    return [code, cause?.code].join(" ");
  });

describe("the server", () => {
  test.each(["fast", "immediate"] as const)("is restarted three times (%s)", async (mode) => {
    const work = await workload();
    for (let n = 1; n <= 3; n++) {
      await eventually(() => work.effects > n * 200);
      await server.restart(mode);
    }
    await allIsWell(work);
    expect(work.troubles.length).toBeGreaterThan(0);
  });

  test("terminates connections at any moment", async () => {
    const work = await workload();
    let terminated = 0;
    for (let n = 1; work.effects < 1_150; n++) {
      await eventually(() => work.effects > Math.min(n * 10, 1_150));
      const { rowCount } = await admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name <> 'admin' and backend_type = 'client backend' order by random() limit 1",
      );
      terminated += rowCount ?? 0;
    }
    console.log(`${terminated} connections terminated, ${work.troubles.length} failed calls`);
    expect(terminated).toBeGreaterThan(10);
    await allIsWell(work);
  });

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
  const quick = new pg.Pool({ connectionString: server.url, max: 6, statement_timeout: 5 });
  ends.push(() => quick.end());
  const patient = postgres({ url: server.url, schema });
  await patient.init({ clock: { now: Date.now } as never });
  ends.push(() => patient.close());
  const work = await started(postgres({ client: quick, schema }), schema);
  await allIsWell(work);
});

describe("the way to the server", () => {
  test("is cut before and after the server has got a write, whose answer is lost", async () => {
    const proxy = await startProxy(server.url);
    ends.push(proxy.close);
    const work = await workload(proxy.url);
    let cuts = 0;
    let writes = 0;
    // B: the beginning of a statement's execution.
    proxy.onRequest((data) => {
      const isWrite = data.includes("commit") || data[0] === "B".charCodeAt(0);
      if (!isWrite || ++writes % 7 !== 0) return "pass";
      cuts += 1;
      return cuts % 3 === 0 ? "cut before" : "cut after";
    });
    await work.ended();
    proxy.onRequest(() => "pass");
    console.log(`${cuts} cuts`);
    expect(cuts).toBeGreaterThan(10);
    await allIsWell(work);
  });

  test("is dead without a word, on every connection that there was", async () => {
    const proxy = await startProxy(server.url);
    ends.push(proxy.close);
    const work = await workload(proxy.url);
    await eventually(() => work.effects > 200);
    proxy.loseAll();
    await allIsWell(work);
  });
});
