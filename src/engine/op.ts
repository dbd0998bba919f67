import type { ErrorRecord } from "../core/error-record.js";
import { decodeErrorRecord, fromErrorRecord } from "../core/error-record.js";
import type { Signal, TaskRecord } from "../core/storage.js";
import type { TaskKind } from "../core/task-data.js";
import type { Scope } from "./scope.js";

/** What an open operation waits for while it is not busy. */
export interface Waiting {
  /** Store instant at which `onDue` is called. */
  readonly wakeAt?: number;
  onDue?(now: number): void;
  /** Signals with this topic go to `onSignal`. */
  readonly topic?: string;
  onSignal?(signal: Signal): void;
  /** Children of one batch share it (S8, `wakeSignals: n`). */
  readonly batch?: object;
  /** The WAITING record to be written with the park commit, if none is stored yet. */
  parkRecord?(): void;
}

/**
 * One `io` call that was made in this execution and has not settled. Its
 * promise settles only through the execution's settlement queue, or never.
 */
export class Op {
  readonly scope: Scope;
  readonly path: string;
  readonly kind: TaskKind;
  readonly promise: Promise<unknown>;
  /** The latest record of this path, stored or on its way. */
  record: TaskRecord | undefined;
  waiting: Waiting | undefined;
  /** Records that the callback has started, unless that is recorded. Set while it runs. */
  startMark: (() => void) | undefined;
  /** Bounds the attempt that runs; stands still while the run is parked. */
  timeLimit: { arm(): void; disarm(): void } | undefined;
  readonly #decode: (record: TaskRecord) => unknown;
  #resolve: (value: unknown) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(scope: Scope, path: string, kind: TaskKind, decode: (record: TaskRecord) => unknown) {
    this.scope = scope;
    this.path = path;
    this.kind = kind;
    this.#decode = decode;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A call that nobody awaits must not end the process when it fails.
    this.promise.catch(() => {});
  }

  get runId(): string {
    return this.scope.execution.runId;
  }

  /** Called by the settlement queue with the final record. */
  settle(record: TaskRecord): void | Promise<void> {
    if (record.status === "FAILED") return this.#end(() => this.#reject(errorOf(record)));
    let value: unknown;
    try {
      value = this.#decode(record);
    } catch (error) {
      return this.#end(() => this.#reject(error));
    }
    if (!isPromise(value)) return this.#end(() => this.#resolve(value));
    return value.then(
      (decoded) => this.#end(() => this.#resolve(decoded)),
      (error) => this.#end(() => this.#reject(error)),
    );
  }

  #end(settle: () => void): void {
    if (this.scope.isClosed) return;
    this.scope.execution.ops.delete(this.path);
    this.scope.opEnds();
    settle();
  }
}

function errorOf(record: TaskRecord): Error {
  const stored: ErrorRecord = decodeErrorRecord(record.error ?? "");
  return fromErrorRecord(stored);
}

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise;
}
