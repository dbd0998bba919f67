import { join } from "node:path";
import { createClient, invokeTrigger } from "../../dist/index.js";
import { memory } from "../../dist/memory.js";
import { sqlite } from "../../dist/sqlite.js";
import { bodies } from "../jobs.mjs";

export function open(kind) {
  return async ({ dir, concurrency, maxParked }) => {
    const storage = kind === "memory" ? memory() : sqlite(join(dir, "pawl.db"));
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
      close: () => client.stop({ timeout: 0 }),
    };
  };
}
