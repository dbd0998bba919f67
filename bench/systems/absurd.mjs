// Its tables and functions are not in the package: PAWL_BENCH_ABSURD_SQL is the path of sql/absurd.sql from the
// repository earendil-works/absurd.
import { readFile } from "node:fs/promises";
import { Absurd } from "absurd-sdk";
import pg from "pg";
import { bodies } from "../jobs.mjs";
import { openDatabase } from "./postgres.mjs";
import { openRawPostgres } from "./raw-postgres.mjs";

const queueName = "default";

export const open =
  () =>
  async ({ concurrency }) => {
    const path = process.env.PAWL_BENCH_ABSURD_SQL;
    if (path === undefined) throw new Error("not installed, PAWL_BENCH_ABSURD_SQL is not set");
    const script = await readFile(path, "utf8");
    const { url, remove } = await openDatabase();
    const pool = new pg.Pool({ connectionString: url, max: 20 });
    await pool.query(script);
    const app = new Absurd({ db: pool, queueName });
    await app.createQueue(queueName);
    for (const [name, body] of Object.entries(bodies)) {
      app.registerTask({ name, queue: queueName }, (payload, context) =>
        body(
          {
            step: (key, task) => context.step(key, task),
            sleep: (key, ms) => context.sleepFor(key, ms / 1_000),
          },
          payload,
        ),
      );
    }
    let worker;
    return {
      enqueue: (name, payload) => app.spawn(name, payload),
      async start() {
        worker = await app.startWorker({ concurrency, batchSize: concurrency, claimTimeout: 120 });
      },
      openRaw: openRawPostgres,
      async close() {
        await worker?.close();
        await pool.end();
        await remove();
      },
    };
  };
