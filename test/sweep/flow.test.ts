import { flowScenarios } from "./scenarios-flow.js";
import { memoryStore } from "./stores.js";
import { sweep } from "./sweep.js";

sweep({
  title: "flow control",
  scenarios: flowScenarios,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns", "getRuns", "getValue"],
});
