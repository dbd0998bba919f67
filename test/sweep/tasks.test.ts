import { taskScenarios } from "./scenarios-tasks.js";
import { memoryStore } from "./stores.js";
import { sweep } from "./sweep.js";

sweep({
  title: "tasks and waits",
  scenarios: taskScenarios,
  makeStore: memoryStore,
  methods: [
    "init",
    "now",
    "getValue",
    "setValue",
    "listValues",
    "listRuns",
    "subscribe",
    "claimRuns",
    "createRuns",
    "commit",
  ],
});
