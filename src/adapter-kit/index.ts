// For authors of storage adapters. The contract:
export type { Clock } from "../core/clock.js";
export { StorageError } from "../core/errors.js";
export {
  displayStatus,
  type FinalStatus,
  finalStatuses,
  isFinal,
  openStatuses,
  type RunStatus,
  runStatuses,
  type StoredStatus,
} from "../core/run-status.js";
export {
  type ClaimedRun,
  type ClaimRequest,
  type ClaimResult,
  type CommitOutcome,
  type CommitResult,
  type CreatedRun,
  type CreateElement,
  type CreateGroup,
  type CreateResult,
  type LogLine,
  NEVER,
  type NewRun,
  type NewSignal,
  type PurgeQuery,
  type Release,
  type RunGuard,
  type RunPage,
  type RunPatch,
  type RunQuery,
  type RunRecord,
  type RunWrite,
  type Signal,
  SPEC_VERSION,
  type Storage,
  type StorageCapabilities,
  type StorageEnvironment,
  type StoredLogLine,
  type StoredValue,
  type TaskPage,
  type TaskRecord,
  type TaskStatus,
  type TaskWrite,
  type ValueResult,
  type ValueWrite,
  WATCH_TOPIC,
  type WaitingPage,
  type WaitingTask,
  type Watch,
  type WatchRef,
} from "../core/storage.js";
// Whether an adapter keeps it:
export { ManualClock } from "./manual-clock.js";
export {
  type Deviation,
  type StorageTestOptions,
  type TestContext,
  type TestRunner,
  testStorage,
} from "./test-storage.js";
export type { TestStore } from "./test-store.js";
// What the engine does when a storage fails:
export { type Fault, type FaultKind, type StorageMethod, withFaults } from "./with-faults.js";
