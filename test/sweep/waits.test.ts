import { waitScenarios } from "./scenarios-waits.js";
import { memoryStore } from "./stores.js";
import { sweep } from "./sweep.js";

sweep({
  title: "waits",
  scenarios: waitScenarios,
  makeStore: memoryStore,
  methods: ["claimRuns", "commit", "createRuns", "getRuns", "getValue", "listRuns", "listWaiting"],
});
