// `npm run test:faults -- --restarts 50 --cuts 300 --terminations 1000`; other arguments go to vitest.
import { count, runTests } from "./cycle-options.mjs";

runTests(
  {
    restarts: count("PAWL_FAULT_RESTARTS", 50),
    cuts: count("PAWL_FAULT_CUTS", 300),
    terminations: count("PAWL_FAULT_TERMINATIONS", 1_000),
  },
  ["--project", "postgres", "test/postgres/faults.test.ts"],
);
