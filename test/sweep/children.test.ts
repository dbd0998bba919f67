import { childScenarios } from "./scenarios-children.js";
import { memoryStore } from "./stores.js";
import { FEW, sweep } from "./sweep.js";

sweep({
  title: "children and events",
  scenarios: childScenarios,
  every: FEW,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns", "getRuns", "listRuns", "listSignals", "now"],
});
