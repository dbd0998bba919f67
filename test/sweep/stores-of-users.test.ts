import { storeScenarios } from "./scenarios-stores.js";
import { memoryStore } from "./stores.js";
import { FEW, sweep } from "./sweep.js";

sweep({
  title: "values of users",
  scenarios: storeScenarios,
  every: FEW,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns", "getValue", "setValue"],
});
