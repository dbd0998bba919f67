import { join } from "node:path";
import { OpenWorkflow } from "openworkflow";
import { BackendSqlite } from "openworkflow/sqlite";
import { bodies } from "../jobs.mjs";

export const open =
  () =>
  async ({ dir, concurrency }) =>
    openOn(BackendSqlite.connect(join(dir, "openworkflow.db")), concurrency);

export function openOn(backend, concurrency) {
  const app = new OpenWorkflow({ backend });
  const workflows = {};
  for (const [name, body] of Object.entries(bodies)) {
    workflows[name] = app.defineWorkflow({ name }, ({ input, step }) =>
      body(
        {
          step: (key, task) => step.run({ name: key }, task),
          sleep: (key, ms) => step.sleep(key, `${ms}ms`),
        },
        input,
      ),
    );
  }
  let worker;
  return {
    enqueue: (name, payload) => workflows[name].run(payload),
    async start() {
      worker = app.newWorker({ concurrency });
      await worker.start();
    },
    async close() {
      await worker?.stop();
      await backend.stop?.();
    },
  };
}
