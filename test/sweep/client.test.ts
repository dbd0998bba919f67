import { clientScenarios } from "./scenarios-client.js";
import { memoryStore } from "./stores.js";
import { FEW, sweep } from "./sweep.js";

sweep({
  title: "commands",
  scenarios: clientScenarios,
  every: FEW,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns", "getRuns", "listSignals", "now"],
});
