import type { Clock } from "./clock.js";
import type { RunStatus } from "./run-status.js";
import type { ItemPage, ItemQuery, StoredItem } from "./storage-items.js";
import type { PurgeQuery, RunPage, RunQuery, WaitingPage, WaitingTask } from "./storage-queries.js";
import type {
  RunRecord,
  Signal,
  StoredLogLine,
  StoredValue,
  TaskRecord,
} from "./storage-records.js";
import type { CommitResult, NewRun, RunWrite, ValueWrite } from "./storage-writes.js";

export type {
  ItemPage,
  ItemQuery,
  KeyItem,
  LogItem,
  RunItem,
  SignalItem,
  StoredItem,
  TaskItem,
  TombstoneItem,
  ValueItem,
} from "./storage-items.js";
export type {
  PurgeQuery,
  RunPage,
  RunQuery,
  WaitingPage,
  WaitingTask,
} from "./storage-queries.js";
export {
  type LogLine,
  NEVER,
  type RunRecord,
  type Signal,
  type StoredLogLine,
  type StoredValue,
  type TaskRecord,
  type TaskStatus,
  WATCH_TOPIC,
  type WatchRef,
} from "./storage-records.js";
export type {
  CommitOutcome,
  CommitResult,
  NewRun,
  NewSignal,
  Release,
  RunGuard,
  RunPatch,
  RunWrite,
  TaskWrite,
  ValueWrite,
  Watch,
} from "./storage-writes.js";

/**
 * The storage contract: what an adapter promises and the engine relies on.
 *
 * An adapter stores runs, task records, signals, log lines and values. It makes
 * no decision: the pure functions in `core/` decide, an adapter only compares
 * and sets. It has no timer of its own for the engine's sake, no retry of user
 * work and no log; instants are epoch milliseconds and arrive as arguments.
 * Methods take arrays and answer by position, so that one round trip and one
 * disk flush serve every run that is ready at that moment.
 *
 * Everything typed `string` that comes from a user's value (`payload`,
 * `admitted`, `output`, `error`, `data`, `state`, `value`, …) is opaque text
 * and must come back byte for byte: never parse it, never store it as `jsonb`.
 * Every other string is well-formed Unicode without U+0000.
 *
 * The rules, each one a `describe` of the conformance suite:
 *
 * - **S1** One element is atomic, elements are independent. An element that the
 *   store refuses answers `rejected` with a reason and one that is locked by
 *   somebody else answers `busy`; neither holds up its neighbours.
 * - **S2** All parts of a guard hold in the store's own statement, which keeps
 *   the run row from every change of holder until the element is durable. A
 *   wrong epoch is `fenced`; a wrong status, inbox or generation is `conflict`. Fencing is
 *   by epoch alone: a lapsed lease that nobody has taken is still its holder's,
 *   and the holder's commit is `ok`. Only *extending* a lapsed lease of a run
 *   with limit keys is refused (`leaseRefused: true`), since the slot may have
 *   been given away; the records of that element are kept.
 * - **S3** A COMPLETED task record never changes. Any other is replaced only by
 *   a write whose `replaces` names the seq that it replaces. A final run
 *   changes only by a write with `reopen`, which raises epoch and generation.
 * - **S4** A repeated `writeId` answers `ok` and changes nothing. It lives in
 *   the rows that the element writes anyway: the run row's last, each task's.
 * - **S5** Every write of a task record carries the run's next `seq`, given by
 *   the engine. A seq that exists with another writeId is `rejected`.
 * - **S6** Two claimers never get one run under one epoch; a claim raises it.
 * - **S7** Never more than `limits[id]` unexpired leases among the runs with a
 *   limit key of that id and value, decided under a lock of that key. A store
 *   that cannot says `capabilities.limits: false`.
 * - **S8** A run is due when it is not final, has no live lease, and its
 *   `wakeAt` has come or it has at least `wakeSignals` unread signals
 *   (`wakeSignals` 0: signals never make it due). One indexed `dueAt` holds the
 *   result; park, signal and claim compute it under the row's lock.
 * - **S9** A signal is idempotent on (run, id), is added whatever the target's
 *   status, and raises the target's `inbox`. Only `signalsRead` marks it read.
 *   Watches are signals with topic {@link WATCH_TOPIC}: they raise `inbox`, but
 *   never count as unread and never make a run due. A watch on a final or
 *   missing run is answered by a signal to the watcher.
 * - **S10** Effects on other runs (`signals`, `watches`, `runs`) are durable
 *   with the write. A store that cannot apply them at once keeps them with the
 *   run, answers `pending: true` and applies them in `deliver`, idempotently.
 * - **S11** Deadlines are indexed, and the claim or leased creation that starts
 *   a run replaces its deadline by start + `maxDurationMs` (or by none).
 * - **S12** A commit with task records only, and no `leaseUntil`, writes no
 *   column of the run row.
 *
 * `Tx` is what users' own writes go through in a transaction of theirs: a
 * `PoolClient` of `pg`, for instance.
 */
export interface Storage<Tx = unknown> {
  /** For messages: "memory", "sqlite", … */
  readonly name: string;
  readonly specVersion: typeof SPEC_VERSION;
  readonly capabilities: StorageCapabilities;

  /** Idempotent; many processes may call it at once. Refuses a newer schema. */
  init(environment: StorageEnvironment): Promise<void>;
  /** Idempotent. Every later call rejects with STORAGE_CLOSED. */
  close(): Promise<void>;
  /** The store's clock, epoch milliseconds. It never goes back. */
  now(): Promise<number>;

  /**
   * Creates runs. Each element is durable together or not at all.
   *
   * A group's first run is idempotent on its id and on (jobId, idempotency
   * key); its further runs are made only if the first is new. Other groups are
   * untouched by that. A repeated `createId` answers as it did at first. When a
   * value named in `expect` has another version, the answer is `conflict` and
   * nothing is made. A run that has a limit key is never created leased.
   */
  createRuns(elements: readonly CreateElement[]): Promise<CreateResult[]>;

  /** Takes due runs for a worker; see {@link ClaimRequest}. */
  claimRuns(request: ClaimRequest): Promise<ClaimResult>;

  /** The only guarded write. One answer per element, by position. */
  commit(writes: readonly RunWrite[]): Promise<CommitResult[]>;

  /** Linearizable. `undefined` where there is no such run. */
  getRuns(ids: readonly string[]): Promise<(RunRecord | undefined)[]>;
  /** Task records with a greater seq, ascending, at least one, up to about `byteBudget` bytes. */
  listTasks(runId: string, afterSeq: number, byteBudget: number): Promise<TaskPage>;
  /** All unread signals and all watches of a run, oldest first. Linearizable. */
  listSignals(runId: string): Promise<Signal[]>;
  /** Open waits on any of these topics, of non-final runs, in a stable order. */
  listWaiting(topics: readonly string[], page: WaitingPage): Promise<WaitingTask[]>;

  /** For people and for look-back: newest first. May lag by `capabilities.staleMs`. */
  listRuns(query: RunQuery): Promise<RunPage>;
  listLogs(runId: string, page: { after?: number; limit: number }): Promise<StoredLogLine[]>;
  /** Number of runs by displayed status, internal runs left out. */
  countRuns(): Promise<Partial<Record<RunStatus, number>>>;

  getValue(key: string): Promise<StoredValue | undefined>;
  /**
   * Compare-and-set. `expected` is the version to replace, 0 for "must not
   * exist", undefined for "whatever is there". Versions start at 1 and rise;
   * a deleted key that is set again never repeats a version.
   */
  setValue(key: string, value: string, expected?: number): Promise<ValueResult>;
  deleteValue(key: string, expected?: number): Promise<ValueResult>;
  /** In key order, keys greater than `after`. */
  listValues(
    prefix: string,
    page: { after?: string; limit: number },
  ): Promise<(StoredValue & { key: string })[]>;

  /**
   * Deletes at most `limit` runs that ended before `finishedBefore`, with all
   * that belongs to them, and leaves a tombstone of each (id, key, fingerprint)
   * until `dedupeUntil`. Spares runs with undelivered effects, with an internal
   * child that is not final, and children of a run that is not final. Tombstones past their time go, too.
   */
  purge(query: PurgeQuery): Promise<{ purged: number }>;

  /**
   * Optional: calls `onHint` when runs may have become due through another
   * process, with the instant if it is known. A hint may be lost, doubled or
   * wrong. Answers a function that ends the subscription.
   */
  subscribe?(onHint: (dueAt?: number) => void): Promise<() => Promise<void>>;
  /** Optional (S10): applies effects that were answered as `pending`. Answers how many are left. */
  deliver?(): Promise<{ left: number }>;

  /**
   * Optional: makes users' own writes and a record one transaction. Opens one,
   * calls `work` with it, and commits what `work` answers, a write with task
   * records only. The last statement checks the guard and holds the run row
   * until the commit (S2); a row that somebody else has is waited for. Whatever
   * is not answered `ok` is rolled back, together with what `work` wrote.
   *
   * What `work` throws rolls back, too, and the call rejects. It rejects with
   * TRANSACTION_FAILED if the users' own writes cannot be committed. Any other
   * rejection says nothing: the transaction may have been committed, or be
   * about to. It is over, and its record to be read if there is one, once a
   * later `commit` with `leaseUntil` for that run is answered, and not as `busy`.
   *
   * `work` may be called again only if the first call was rolled back.
   */
  commitWith?(work: (tx: Tx) => RunWrite | Promise<RunWrite>): Promise<CommitResult>;
  /**
   * Optional: `createRuns` for one element, as part of a transaction that the
   * caller has open: the runs are there, and due, when that commits, and never
   * if it does not. Nothing is created leased. A refused element leaves the
   * transaction as it was.
   *
   * @throws ConfigError TRANSACTION_NOT_OPEN
   */
  createRunsIn?(tx: Tx, element: CreateElement): CreateResult | Promise<CreateResult>;

  /**
   * Optional, together with `importRuns`: everything that the store holds, page by page, for another store. What an
   * item belongs to comes before it. The pages fit together only if nobody writes meanwhile.
   */
  exportRuns?(query: ItemQuery): Promise<ItemPage>;
  /**
   * Optional: stores what another store gave by `exportRuns`, in that order, with its ids, epochs, seqs, versions and
   * instants. A call is durable together or not at all. An item that is there already, by its id, is left as it is: so
   * a call may be repeated. For a store that nobody else uses yet: no hint is sent.
   *
   * @throws StorageError STORAGE_INVALID if the run of a task, signal or log line is not there
   */
  importRuns?(items: readonly StoredItem[]): Promise<void>;
}

export const SPEC_VERSION = 1;

export interface StorageEnvironment {
  /** Used by stores that have no clock of their own. */
  readonly clock: Clock;
}

export interface StorageCapabilities {
  /** Limit keys are enforced (S7). */
  readonly limits: boolean;
  /** How far `listRuns`, `listLogs` and `countRuns` may lag behind. */
  readonly staleMs: number;
  readonly maxElementBytes: number;
  readonly maxElementTasks: number;
  readonly maxValueBytes: number;
  /** `commitWith` takes what `work` answers at once, and no promise; `createRunsIn` answers at once. */
  readonly synchronousTransactions?: boolean;
}

export interface CreateGroup {
  readonly first: NewRun;
  readonly further?: readonly NewRun[];
}

export interface CreateElement {
  readonly createId: string;
  readonly groups: readonly CreateGroup[];
  /** Values that must still have these versions (0: must not exist). */
  readonly expect?: readonly { readonly key: string; readonly version: number }[];
  /**
   * Written with the runs. One whose `expected` does not hold is a conflict, too.
   * An element whose first runs are all there already makes nothing: it is
   * answered with them, compares nothing and writes no value.
   */
  readonly values?: readonly ValueWrite[];
}

export interface CreatedRun {
  /** The run that holds the id or idempotency key now. */
  readonly id: string;
  readonly created: boolean;
  /** Of that run; also from a tombstone. */
  readonly fingerprint: string | null;
  readonly createdAt: number;
  /** Set if the run was created leased. */
  readonly leaseUntil: number | null;
}

export type CreateResult =
  | {
      readonly result: "ok";
      readonly groups: readonly {
        readonly first: CreatedRun;
        readonly further: readonly CreatedRun[];
      }[];
    }
  | { readonly result: "conflict" }
  | { readonly result: "busy" }
  | { readonly result: "rejected"; readonly reason: string; readonly cause?: unknown };

/**
 * Takes due runs of `jobIds`: internal ones (job ids that start with "$")
 * first, then by priority (greater first), then runs that have started before
 * new ones, then by `dueAt`. Saturated limit keys are passed over *before*
 * `limit` applies.
 *
 * A claim sets holder and lease, raises the epoch, sets EXECUTING, `startedAt`
 * if unset (S11) and `executionCount` + 1 — unless the last release said `keep`
 * and this is the same worker (then `kept`). A claim over a lapsed lease writes
 * `stalls`: 0 if the highest task seq exceeds `lastSeq`, else + 1, and sets
 * `lastSeq`. A repeated `claimId` answers the runs that it took and that are
 * still held under that epoch.
 */
export interface ClaimRequest {
  readonly claimId: string;
  readonly workerId: string;
  readonly jobIds: readonly string[];
  readonly limit: number;
  readonly leaseMs: number;
  /** By limit id. A limit id that is not named is not limited. */
  readonly limits: Readonly<Record<string, number>>;
  /** At most this many runs with `stalls` ≥ 2. */
  readonly suspects: 0 | 1;
  /** Exactly these, due or not: not final, no live lease, slot free. */
  readonly only?: readonly string[];
  /** Task records are answered up to about this many bytes in all. */
  readonly taskBudget: number;
}

export interface ClaimResult {
  readonly now: number;
  readonly runs: readonly ClaimedRun[];
  /**
   * Earliest instant at which this caller could claim more; `now` if `limit`
   * cut this claim off. Leaves out what the caller cannot claim or passed over.
   */
  readonly nextDue: number | null;
  /** Runs of any job past their deadline, at most 100. */
  readonly overdue: readonly string[];
  /** Earliest deadline of any run, past ones included. */
  readonly nextDeadline: number | null;
}

export interface ClaimedRun {
  readonly run: RunRecord;
  /** Unread signals and watches. */
  readonly signals: readonly Signal[];
  /** Records by ascending seq. Empty if `kept`. */
  readonly tasks: readonly TaskRecord[];
  /** False: the rest is to be had by `listTasks` after the last seq given here. */
  readonly tasksComplete: boolean;
  /** The same worker said it kept the execution in memory when it released. */
  readonly kept: boolean;
  /** Stored log lines by `stream`. Empty if `kept`. */
  readonly logCounts: Readonly<Record<string, number>>;
}

export interface TaskPage {
  readonly tasks: readonly TaskRecord[];
  readonly complete: boolean;
}

export interface ValueResult {
  readonly ok: boolean;
  /** After the call; 0 if there is none. */
  readonly version: number;
  /** The value that is there now, if the comparison failed. */
  readonly value?: string;
}
