import { join } from "node:path";
import { createClient, invokeTrigger } from "../../dist/index.js";
import { memory } from "../../dist/memory.js";
import { postgres } from "../../dist/postgres.js";
import { sqlite } from "../../dist/sqlite.js";
import { bodies } from "../jobs.mjs";
import { postgresUrl, Scratch } from "./postgres.mjs";
import { openRawPostgres } from "./raw-postgres.mjs";

/** The storage, what is left to remove after it, and the driver alone on the same disk. */
function openStore(kind, dir) {
  if (kind === "memory") return { storage: memory() };
  if (kind === "sqlite") return { storage: sqlite(join(dir, "pawl.db")) };
  const scratch = new Scratch({ max: 1 });
  return {
    storage: postgres({ url: postgresUrl, schema: scratch.schema }),
    remove: () => scratch.remove(),
    openRaw: openRawPostgres,
  };
}

export function open(kind) {
  return async ({ dir, concurrency, maxParked }) => {
    const { storage, remove, openRaw } = openStore(kind, dir);
    const client = createClient({
      storage,
      concurrency,
      ...(maxParked === undefined ? {} : { maxParked }),
    });
    for (const [id, body] of Object.entries(bodies)) {
      client.defineJob({
        id,
        trigger: invokeTrigger(),
        run: (payload, io) =>
          body(
            {
              step: (key, task) => io.runTask(key, task),
              sleep: (key, ms) => io.wait(key, ms / 1000),
            },
            payload,
          ),
      });
    }
    const enqueue = (job, payload) => client.invoke(job, payload);
    return {
      enqueue,
      enqueueMany: (job, payloads) => Promise.all(payloads.map((payload) => enqueue(job, payload))),
      start: () => client.start(),
      openRaw,
      close: async () => {
        await client.stop({ timeout: 0 });
        await remove?.();
      },
    };
  };
}
