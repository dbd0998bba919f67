import type pg from "pg";
import { afterAll, inject } from "vitest";
import { childScenarios } from "../sweep/scenarios-children.js";
import { clientScenarios } from "../sweep/scenarios-client.js";
import { flowScenarios } from "../sweep/scenarios-flow.js";
import { httpScenarios } from "../sweep/scenarios-http.js";
import { lifecycleScenarios } from "../sweep/scenarios-lifecycle.js";
import { storeScenarios } from "../sweep/scenarios-stores.js";
import { taskScenarios } from "../sweep/scenarios-tasks.js";
import { transactionScenarios, type UserRows } from "../sweep/scenarios-transactions.js";
import { waitScenarios } from "../sweep/scenarios-waits.js";
import type { Store } from "../sweep/stage.js";
import { sweep } from "../sweep/sweep.js";
import { schemaName } from "./clients.js";
import { EmptiedSchema } from "./emptied-schema.js";

/** `npm run test:sweep` sets it to 1: all of it, about 26,000 plays. */
const EVERY = Number(process.env.PAWL_SWEEP_EVERY ?? 179);

const made = await EmptiedSchema.make(inject("postgresUrl"), schemaName());
const table = `"${made.schema}".sweep_rows`;
await made.pool.query(`create table ${table} (run text)`);
afterAll(() => made.remove());

const rows: UserRows<pg.PoolClient> = {
  insert: async (tx, run, then) => {
    await tx.query(`insert into ${table} values ($1)`, [run]);
    then();
  },
  count: async (tx, run) =>
    (await tx.query(`select from ${table} where run = $1`, [run])).rowCount ?? 0,
};

const makeStore = (): Store => ({
  open: (clock) => made.open(clock),
  settled: () => made.listener.settled(),
  dispose: () => made.empty(),
});

sweep({
  title: "PostgreSQL",
  scenarios: [
    ...taskScenarios,
    ...waitScenarios,
    ...childScenarios,
    ...clientScenarios,
    ...lifecycleScenarios,
    ...storeScenarios,
    ...flowScenarios,
    ...httpScenarios,
  ],
  makeStore,
  methods: [
    ...["claimRuns", "commit", "now", "getValue", "setValue"],
    ...["createRuns", "getRuns", "init", "listRuns", "listValues", "subscribe"],
  ],
  every: EVERY,
});

sweep({
  title: "transactions on PostgreSQL",
  scenarios: transactionScenarios(rows),
  makeStore,
  methods: ["commitWith", "claimRuns", "commit"],
  every: Math.min(EVERY, 5),
});
