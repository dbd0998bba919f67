import { lifecycleScenarios } from "./scenarios-lifecycle.js";
import { memoryStore } from "./stores.js";
import { sweep } from "./sweep.js";

sweep({
  title: "lifecycle",
  scenarios: lifecycleScenarios,
  makeStore: memoryStore,
  methods: [
    "claimRuns",
    "close",
    "commit",
    "createRuns",
    "getRuns",
    "getValue",
    "listLogs",
    "listTasks",
    "listSignals",
    "listValues",
    "now",
    "setValue",
  ],
});
