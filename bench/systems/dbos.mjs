// Workflows are started directly in the process, which is its fastest way. Before start() it only enqueues, on a
// queue that nobody serves.
import { DBOS, DBOSClient } from "@dbos-inc/dbos-sdk";
import { bodies } from "../jobs.mjs";
import { openDatabase } from "./postgres.mjs";
import { openRawPostgres } from "./raw-postgres.mjs";

const steps = {
  step: (name, task) => DBOS.runStep(task, { name }),
  sleep: (_, ms) => DBOS.sleepms(ms),
};
const logger = { info() {}, warn() {}, debug() {}, error: console.error };

export const open = () => async () => {
  const { url: systemDatabaseUrl, remove } = await openDatabase();
  DBOS.setConfig({
    name: "bench",
    systemDatabaseUrl,
    systemDatabasePoolSize: 20,
    logger,
    applicationVersion: "1",
    executorID: "local",
  });
  const workflows = {};
  for (const [name, body] of Object.entries(bodies)) {
    workflows[name] = DBOS.registerWorkflow((payload) => body(steps, payload), { name });
  }
  await DBOS.launch();
  await DBOS.registerQueue("idle", { workerConcurrency: 0 });
  const client = await DBOSClient.create({ systemDatabaseUrl });
  let isStarted = false;
  return {
    enqueue: (workflowName, payload) =>
      isStarted
        ? DBOS.startWorkflow(workflows[workflowName])(payload)
        : client.enqueue({ workflowName, queueName: "idle" }, payload),
    async start() {
      isStarted = true;
    },
    openRaw: openRawPostgres,
    async close() {
      await client.destroy();
      await DBOS.shutdown();
      await remove();
    },
  };
};
