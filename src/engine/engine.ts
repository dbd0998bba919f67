import type { Clock } from "../core/clock.js";
import type { Codec } from "../core/codec.js";
import type { Surroundings } from "../core/context.js";
import { fromErrorRecord } from "../core/error-record.js";
import { type Ending, type HookName, isInternal } from "../core/final.js";
import type { FetchFunction } from "../core/http.js";
import type { AnyJob, LogLevel } from "../core/job.js";
import type { RetryOptions } from "../core/retry.js";
import type { LogLine, RunRecord, Storage } from "../core/storage.js";
import type { TokenUrls } from "../core/token-url.js";
import { AuthResolvers } from "./auth-resolvers.js";
import { CommitQueue } from "./commit-queue.js";
import type { Emitter } from "./emitter.js";
import { EventMatcher } from "./event-match.js";
import { EventPaths } from "./event-paths.js";
import { lostError } from "./execution-errors.js";
import { WriteIds } from "./ids.js";
import type { JobTable } from "./job-table.js";
import { KeptSchedules } from "./kept-schedules.js";
import { mirrorLog } from "./log-mirror.js";
import { notificationOf } from "./notification.js";
import { Patience, patientStorage } from "./patient-storage.js";
import { Registry } from "./registry.js";
import { RunReader } from "./run-reader.js";
import { StoreClock } from "./store-clock.js";
import { Turns } from "./turns.js";

export type RunningJob = AnyJob;

/** Upper bounds; beyond them there is a typed error. */
export interface Caps {
  /** Encoded bytes of a task's output, a run's output and an event's payload. Default 3 MiB. */
  readonly taskOutputBytes: number;
  /** Encoded bytes of a value of `io.store` and `client.store`. Default 256 KiB. */
  readonly storeValueBytes: number;
  /** Default 100,000. */
  readonly tasksPerRun: number;
  /** UTF-8 bytes of a stored error message and stack. Default 8 KiB and 16 KiB. */
  readonly errorMessageBytes: number;
  readonly errorStackBytes: number;
}

export const defaultCaps: Caps = {
  taskOutputBytes: 3 * 1024 * 1024,
  storeValueBytes: 256 * 1024,
  tasksPerRun: 100_000,
  errorMessageBytes: 8 * 1024,
  errorStackBytes: 16 * 1024,
};

export interface EngineOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly codec: Codec;
  /** Sends the requests of runs. */
  readonly fetch: FetchFunction;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly maxParked: number;
  readonly executionLimitMs: number | undefined;
  readonly ticksSchedules: boolean;
  readonly retry: RetryOptions | undefined;
  readonly logLevel: LogLevel;
  readonly tokenUrls: TokenUrls | undefined;
  readonly caps: Caps;
  readonly surroundings: Surroundings;
  readonly jobs: JobTable;
  readonly emitter: Emitter;
  /** Where engine trouble goes: storage failures, throwing listeners, failing hooks. */
  readonly onTrouble: (error: unknown) => void;
  /** Lines for the people who run the process; stderr. */
  readonly output: (line: string) => void;
}

/** What all parts of one client share. Holds no run. */
export class Engine {
  readonly rawStorage: Storage;
  readonly storage: ReturnType<typeof patientStorage>;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly storeClock: StoreClock;
  readonly queue: CommitQueue;
  readonly registry: Registry;
  readonly paths: EventPaths;
  readonly matcher = new EventMatcher(this);
  readonly reader: RunReader;
  readonly auth = new AuthResolvers();
  readonly keptSchedules = new KeptSchedules(this);
  /** Calls of the same value of the store, one after the other. */
  readonly storeTurns = new Turns();
  readonly writeIds = new WriteIds();
  readonly codec: Codec;
  /** Sends the requests of runs. */
  readonly fetch: FetchFunction;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly maxParked: number;
  readonly executionLimitMs: number | undefined;
  readonly ticksSchedules: boolean;
  readonly retry: RetryOptions | undefined;
  readonly logLevel: LogLevel;
  readonly tokenUrls: TokenUrls | undefined;
  readonly caps: Caps;
  readonly surroundings: Surroundings;
  readonly jobs: JobTable;
  readonly emitter: Emitter;
  readonly onTrouble: (error: unknown) => void;
  readonly output: (line: string) => void;

  constructor(options: EngineOptions) {
    this.rawStorage = options.storage;
    this.clock = options.clock;
    this.onTrouble = options.onTrouble;
    this.patience = new Patience(options.clock, options.onTrouble);
    this.storage = patientStorage(options.storage, this.patience);
    this.storeClock = new StoreClock(options.clock);
    this.queue = new CommitQueue(options.storage, this.patience, options.clock);
    this.registry = new Registry(options.storage);
    this.paths = new EventPaths(options.storage);
    this.reader = new RunReader(this.storage);
    this.codec = options.codec;
    this.fetch = options.fetch;
    this.leaseMs = options.leaseMs;
    this.pollMs = options.pollMs;
    this.maxParked = options.maxParked;
    this.executionLimitMs = options.executionLimitMs;
    this.ticksSchedules = options.ticksSchedules;
    this.retry = options.retry;
    this.logLevel = options.logLevel;
    this.tokenUrls = options.tokenUrls;
    this.caps = options.caps;
    this.surroundings = options.surroundings;
    this.jobs = options.jobs;
    this.emitter = options.emitter;
    this.output = options.output;
  }

  /** Transactions of tasks in which runs were made. They are there, and due, when it commits. */
  readonly madeRunsIn = new WeakSet<object>();
  /** Tells the worker that runs have become due without it. */
  onRunsMade: () => void = () => {};
  readonly #warned = new Set<string>();
  readonly #endListeners = new Map<string, Set<() => void>>();
  /** Tells the worker of this client that somebody ended a run it may hold. */
  onEndedFromOutside: (runId: string, reason: () => unknown) => void = () => {};

  /** One line for the people who run the process. */
  say(text: string): void {
    this.output(`pawl: ${text}`);
  }

  warnOnce(about: string, text: string): void {
    if (this.#warned.has(about)) return;
    this.#warned.add(about);
    this.say(text);
  }

  mirrorLog(execution: { readonly runId: string; readonly job: AnyJob }, line: LogLine): void {
    mirrorLog(
      `${execution.job.id} ${execution.runId} ${line.level} ${line.message}`,
      line.data ?? "",
    );
  }

  hasHook(jobId: string, hook: HookName): boolean {
    const job = this.jobs.get(jobId);
    return job === undefined
      ? (this.registry.get(jobId)?.hooks.includes(hook) ?? false)
      : job.options[hook] !== undefined;
  }

  // ---- ends of runs that this process learns of

  /** Calls back at the next sign that the run may have ended. */
  onRunEnd(runId: string, listener: () => void): () => void {
    const listeners = this.#endListeners.get(runId) ?? new Set();
    listeners.add(listener);
    this.#endListeners.set(runId, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#endListeners.delete(runId);
    };
  }

  runEnded(runId: string): void {
    for (const listener of this.#endListeners.get(runId) ?? []) listener();
  }

  /** Somebody of this process who does not hold the run has ended it. */
  outsiderEnded(run: RunRecord, ending: Ending, now: number): void {
    this.onEndedFromOutside(run.id, () =>
      lostError(run.id, { result: "final", status: ending.status }),
    );
    if (isInternal(run.jobId)) return;
    const event = ending.status === "CANCELED" ? "runCanceled" : "runFailed";
    const error = ending.error === undefined ? undefined : fromErrorRecord(ending.error);
    if (this.emitter.hears(event)) {
      notificationOf(this, { ...run, status: ending.status, finishedAt: now }, error).then(
        (notification) => this.emitter.emit(event, notification),
        this.onTrouble,
      );
    } else if (
      error !== undefined &&
      ending.status !== "CANCELED" &&
      !this.hasHook(run.jobId, "onFailure") &&
      run.parentId === null
    ) {
      this.say(`Run ${run.id} of job "${run.jobId}" ended as ${ending.status}: ${error.message}`);
    }
  }

  /** The payload as `run` gets it. */
  admittedPayload(run: Pick<RunRecord, "payload" | "admitted">): unknown {
    const text = run.admitted === SAME_AS_PAYLOAD ? run.payload : run.admitted?.slice(1);
    return text === null || text === undefined ? undefined : this.codec.decode(text);
  }
}

/** `admitted` of a payload that no schema changed: it is not stored twice. */
export const SAME_AS_PAYLOAD = "=";

/** `admitted` of any other. */
export function admittedText(text: string): string {
  return `+${text}`;
}
