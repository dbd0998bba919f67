import { storeScenarios } from "./scenarios-stores.js";
import { memoryStore } from "./stores.js";
import { sweep } from "./sweep.js";

sweep({
  title: "values of users",
  scenarios: storeScenarios,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns", "getValue", "setValue"],
});
