import { httpScenarios } from "./scenarios-http.js";
import { memoryStore } from "./stores.js";
import { FEW, sweep } from "./sweep.js";

sweep({
  title: "background HTTP",
  scenarios: httpScenarios,
  every: FEW,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns"],
});
