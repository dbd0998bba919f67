import { afterAll } from "vitest";
import { childScenarios } from "./scenarios-children.js";
import { clientScenarios } from "./scenarios-client.js";
import { flowScenarios } from "./scenarios-flow.js";
import { lifecycleScenarios } from "./scenarios-lifecycle.js";
import { storeScenarios } from "./scenarios-stores.js";
import { taskScenarios } from "./scenarios-tasks.js";
import { sqliteRows, transactionScenarios } from "./scenarios-transactions.js";
import { sqliteStores } from "./stores.js";
import { FEW, sweep } from "./sweep.js";

/** One of each kind: the engine is the same, what differs is where a call is cut. */
const subset = [
  "one task",
  "transactional tasks",
  "wait",
  "invokeAndWait",
  "sendEvent twice with one id",
  "retryRun after a failure",
  "late admission, the claimer",
  "compare-and-set: one of several runs gets it",
  "rateLimit: three invokes at a time, two may start",
];

const stores = await sqliteStores();
afterAll(() => stores.dispose());

sweep({
  title: "SQLite",
  scenarios: [
    ...taskScenarios,
    ...transactionScenarios(sqliteRows),
    ...childScenarios,
    ...clientScenarios,
    ...lifecycleScenarios,
    ...storeScenarios,
    ...flowScenarios,
  ]
    .filter(({ name }) => subset.includes(name))
    .map((scenario) => ({ ...scenario, maxParked: [1_000] })),
  makeStore: stores.make,
  every: FEW,
  methods: ["claimRuns", "commit", "commitWith", "createRuns", "getRuns", "init"],
});
