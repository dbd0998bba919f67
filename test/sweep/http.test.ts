import { httpScenarios } from "./scenarios-http.js";
import { memoryStore } from "./stores.js";
import { sweep } from "./sweep.js";

sweep({
  title: "background HTTP",
  scenarios: httpScenarios,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns"],
});
