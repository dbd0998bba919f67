import { clientScenarios } from "./scenarios-client.js";
import { memoryStore } from "./stores.js";
import { sweep } from "./sweep.js";

sweep({
  title: "commands",
  scenarios: clientScenarios,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns", "getRuns", "listSignals", "now"],
});
