// better-sqlite3 in WAL with synchronous=FULL. It has no durable sleep.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createDurably, defineJob } from "@coji/durably";
import { SqliteDialect } from "kysely";
import { z } from "zod";
import { bodies } from "../jobs.mjs";

const Database = createRequire(import.meta.url)("better-sqlite3");

export const open =
  () =>
  async ({ dir, concurrency }) => {
    const database = new Database(join(dir, "durably.db"));
    database.pragma("journal_mode=WAL");
    database.pragma("synchronous=FULL");
    const jobs = {};
    for (const [name, body] of Object.entries(bodies)) {
      jobs[name] = defineJob({
        name,
        input: z.any(),
        output: z.any(),
        run: async (step, payload) => {
          await body({ step: (key, task) => step.run(key, task), sleep: noSleep }, payload);
          return { ok: true };
        },
      });
    }
    const app = createDurably({
      dialect: new SqliteDialect({ database }),
      maxConcurrentRuns: concurrency,
      jobs,
    });
    await app.migrate();
    return {
      enqueue: (name, payload) => app.jobs[name].trigger(payload),
      enqueueMany: (name, payloads) =>
        app.jobs[name].batchTrigger(payloads.map((input) => ({ input }))),
      start: async () => app.start(),
      close: () => app.stop(),
    };
  };

function noSleep() {
  throw new Error("durably has no durable sleep");
}
