// It has no tasks inside a run and no durable sleep: what is measured is its queue.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { bodies } from "../jobs.mjs";
import { openDatabase } from "./postgres.mjs";

const plain = {
  step: (_, task) => task(),
  sleep() {
    throw new Error("graphile-worker has no durable sleep");
  },
};
const logger = new Logger(() => () => {});

export const open =
  () =>
  async ({ concurrency, store }) => {
    const { url: connectionString, name: database, remove } = await openDatabase(store);
    const utils = await makeWorkerUtils({ connectionString, maxPoolSize: 20, logger });
    await utils.migrate();
    const taskList = Object.fromEntries(
      Object.entries(bodies).map(([name, body]) => [name, (payload) => body(plain, payload)]),
    );
    let runner;
    return {
      store: database,
      enqueue: (name, payload) => utils.addJob(name, payload),
      enqueueMany: (identifier, payloads) =>
        utils.addJobs(payloads.map((payload) => ({ identifier, payload }))),
      async start() {
        runner = await run({
          connectionString,
          concurrency,
          maxPoolSize: 20,
          taskList,
          logger,
          noHandleSignals: true,
        });
      },
      async close() {
        await runner?.stop();
        await utils.release();
        await remove();
      },
    };
  };
