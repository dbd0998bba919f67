import { childScenarios } from "./scenarios-children.js";
import { memoryStore } from "./stores.js";
import { sweep } from "./sweep.js";

sweep({
  title: "children and events",
  scenarios: childScenarios,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns", "getRuns", "listRuns", "listSignals", "now"],
});
