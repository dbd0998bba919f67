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
  type ItemPage,
  type ItemQuery,
  type KeyItem,
  type LogItem,
  type LogLine,
  NEVER,
  type NewRun,
  type NewSignal,
  type PurgeQuery,
  type Release,
  type RunGuard,
  type RunItem,
  type RunPage,
  type RunPatch,
  type RunQuery,
  type RunRecord,
  type RunWrite,
  type Signal,
  type SignalItem,
  SPEC_VERSION,
  type Storage,
  type StorageCapabilities,
  type StorageEnvironment,
  type StoredItem,
  type StoredLogLine,
  type StoredValue,
  type TaskItem,
  type TaskPage,
  type TaskRecord,
  type TaskStatus,
  type TaskWrite,
  type TombstoneItem,
  type ValueItem,
  type ValueResult,
  type ValueWrite,
  WATCH_TOPIC,
  type WaitingPage,
  type WaitingTask,
  type Watch,
  type WatchRef,
} from "../core/storage.js";

// What an adapter need not decide again, as pure functions. How a run begins, and what becomes of it:

export {
  afterClaim,
  afterSignal,
  afterWrite,
  newStoredRun,
  type StoredRun,
} from "../core/stored-run.js";

// What createRuns, claimRuns and commit make of what is stored:

export { type ClaimPlan, type ClaimRow, planClaim } from "../core/claim-plan.js";
export {
  type CreationPlan,
  holderOf,
  type Identity,
  type KnownOfCreation,
  keyName,
  planCreation,
  tombstoneOf,
} from "../core/creation.js";
export { commitResult, commitVerdict, type KnownOfWrite } from "../core/write-verdict.js";

// For a store that has what belongs to a run in memory:

export {
  claimAnswer,
  Inbox,
  RunLog,
  type RunTables,
  type StoredTask,
  storedTask,
  TaskTable,
  waitingPage,
} from "../core/run-tables.js";

// What exportRuns answers, and what importRuns makes of it:

export {
  assertOwners,
  type HeldItems,
  importedRun,
  importedTombstone,
  itemPage,
  tombstoneWithKey,
} from "../core/items.js";

// Values, watches, and the other methods:

export {
  afterValueWrite,
  countByStatus,
  isPurgeable,
  runPage,
  signalOfWatch,
  storedValue,
  type ValueEntry,
} from "../core/stored-data.js";

// Whether an adapter keeps the contract:

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

// From one store into another:

export {
  type CopyCounts,
  type CopyOptions,
  type CopyProgress,
  type CopySummary,
  copyStorage,
} from "./copy-storage.js";
