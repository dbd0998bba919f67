import { join } from "node:path";
import { createClient, invokeTrigger } from "../../dist/index.js";
import { memory } from "../../dist/memory.js";
import { postgres } from "../../dist/postgres.js";
import { sqlite } from "../../dist/sqlite.js";
import { bodies } from "../jobs.mjs";
import { serverCpuOf } from "../server-cpu.mjs";
import { Scratch } from "./postgres.mjs";
import { openRawPostgres } from "./raw-postgres.mjs";

/** The storage, and what else the workloads ask of it. */
function openStore(kind, dir, store) {
  if (kind === "memory") return { storage: memory() };
  if (kind === "sqlite") return { storage: sqlite(join(dir, "pawl.db")) };
  const scratch = new Scratch({ max: 1, schema: store });
  return {
    storage: postgres({ url: scratch.url, schema: scratch.schema }),
    store: scratch.schema,
    remove: () => scratch.remove(),
    openRaw: openRawPostgres,
    serverCpu: serverCpuOf(scratch),
  };
}

export function open(kind) {
  return async ({ dir, concurrency, maxParked, store: joined }) => {
    const { storage, remove, ...more } = openStore(kind, dir, joined);
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
      ...more,
      enqueue,
      enqueueMany: (job, payloads) => Promise.all(payloads.map((payload) => enqueue(job, payload))),
      start: () => client.start(),
      claimOne: claimsOf(storage),
      close: async () => {
        await client.stop({ timeout: 0 });
        await remove?.();
      },
    };
  };
}

/** Takes one run in another worker's name, as the engine would, and leaves it. */
function claimsOf(storage) {
  let claims = 0;
  return () =>
    storage.claimRuns({
      claimId: `bench-${claims++}`,
      workerId: "bench",
      jobIds: Object.keys(bodies),
      limit: 1,
      leaseMs: 600_000,
      limits: {},
      suspects: 0,
      taskBudget: 1_000_000,
    });
}
