// One job, executed for real in no time

// Time that tests own, and clients that live in it
export { FakeClock, fakeClock } from "./fake-clock.js";
export type { TestAuth } from "./test-auth.js";
export {
  type TestEvent,
  type TestJobOptions,
  type TestLogLine,
  type TestResult,
  testJob,
} from "./test-job.js";
export { TestWorld, type TestWorldOptions, testWorld } from "./test-world.js";
// Processes that die
export { type CrashPlan, type CrashPoint, withCrash } from "./with-crash.js";
