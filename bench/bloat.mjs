// node bench/bloat.mjs [--runs 100000] [--fillfactor 70,80,90,100]: what runs of ten tasks leave on the disk of the server
// at PAWL_BENCH_POSTGRES_URL, before and after a purge. With fill factors, once for each, in place of those of the schema.
import { createClient, invokeTrigger } from "../dist/index.js";
import { postgres } from "../dist/postgres.js";
import { pool as inFlight, now, TEXT } from "./measure.mjs";
import { postgresUrl, Scratch } from "./systems/postgres.mjs";

const TASKS = 10;
const option = (name, otherwise) =>
  process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : otherwise;
const runs = Number(option("--runs", 100_000));
const fillFactors = option("--fillfactor", "")
  .split(",")
  .map((text) => (text === "" ? undefined : Number(text)));

for (const fillFactor of fillFactors) await measure(fillFactor);

async function measure(fillFactor) {
  const scratch = new Scratch({ max: 2 });
  const { pool, schema } = scratch;
  const client = createClient({
    storage: postgres({ url: postgresUrl, schema }),
    concurrency: 1_000,
  });
  client.defineJob({
    id: "seq",
    trigger: invokeTrigger(),
    run: async (_, io) => {
      for (let i = 0; i < TASKS; i++) await io.runTask(`s${i}`, () => ({ i, text: TEXT }));
    },
  });
  await client.start();
  if (fillFactor !== undefined)
    await pool.query(`alter table "${schema}".runs set (fillfactor = ${fillFactor})`);
  const started = now();
  let ended = 0;
  const allEnded = new Promise((resolve) => {
    client.on("runSucceeded", () => {
      ended++;
      if (ended === runs) resolve();
    });
  });
  await inFlight(runs, 256, (n) => client.invoke("seq", { n }));
  await allEnded;
  const seconds = (now() - started) / 1_000;
  console.log(
    `${runs} runs, ${runs * TASKS} tasks, fillfactor of runs ${fillFactor ?? "as in the schema"}: ` +
      `${Math.round((runs * TASKS) / seconds)} tasks/s`,
  );
  await report(pool, schema, "when all have ended");
  const purging = now();
  const { purged } = await client.purge({ olderThan: { milliseconds: 1 } });
  console.log(`purged ${purged} in ${Math.round(now() - purging)} ms`);
  await report(pool, schema, "after the purge");
  await pool.query(`vacuum "${schema}".runs, "${schema}".tasks, "${schema}".tombstones`);
  await report(pool, schema, "after the purge and a vacuum");
  await client.stop();
  await scratch.remove();
}

/** A backend at rest tells what it has counted after ten seconds. */
async function report(pool, schema, moment) {
  await new Promise((resolve) => setTimeout(resolve, 11_000));
  const { rows } = await pool.query(
    `select relname as table, pg_table_size(relid)::float8 as heap, pg_indexes_size(relid)::float8 as indexes,
       n_live_tup::int as live, n_dead_tup::int as dead, n_tup_upd::int as updates, n_tup_hot_upd::int as hot, autovacuum_count::int as vacuums
     from pg_stat_user_tables where schemaname = $1 and relname in ('runs', 'tasks', 'tombstones') order by relname`,
    [schema],
  );
  console.log(`  ${moment}:`);
  for (const { table, heap, indexes, ...counts } of rows) {
    const perTask = (bytes) => `${(bytes / runs / TASKS).toFixed(1)} B/task`;
    console.log(
      `    ${table}: table ${mb(heap)} (${perTask(heap)}), indexes ${mb(indexes)} (${perTask(indexes)}), ${JSON.stringify(counts)}`,
    );
  }
  const { rows: sizes } = await pool.query(
    "select indexrelname as name, pg_relation_size(indexrelid)::float8 as bytes from pg_stat_user_indexes where schemaname = $1 order by 2 desc limit 9",
    [schema],
  );
  console.log(`    ${sizes.map(({ name, bytes }) => `${name} ${mb(bytes)}`).join(", ")}`);
}

function mb(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
