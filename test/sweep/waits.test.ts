import { waitScenarios } from "./scenarios-waits.js";
import { memoryStore } from "./stores.js";
import { FEW, sweep } from "./sweep.js";

sweep({
  title: "waits",
  scenarios: waitScenarios,
  every: FEW,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns", "getRuns", "getValue", "listRuns", "listWaiting"],
});
