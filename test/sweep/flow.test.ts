import { flowScenarios } from "./scenarios-flow.js";
import { memoryStore } from "./stores.js";
import { FEW, sweep } from "./sweep.js";

sweep({
  title: "flow control",
  scenarios: flowScenarios,
  makeStore: memoryStore,
  every: FEW,
  methods: ["claimRuns", "commit", "createRuns", "getRuns", "getValue"],
});
