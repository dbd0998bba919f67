import type { ErrorRecord } from "../core/error-record.js";
import { decodeErrorRecord, fromErrorRecord } from "../core/error-record.js";
import type { Signal, TaskRecord } from "../core/storage.js";
import type { TaskKind } from "../core/task-data.js";
import type { Scope } from "./scope.js";
import { isThenable } from "./thenable.js";

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
  startMark: { writeStartMark(): void } | undefined;
  /** Bounds the attempt that runs; stands still while the run is parked. */
  timeLimit: { arm(): void; disarm(): void } | undefined;
  readonly #decode: (record: TaskRecord) => unknown;
  #resolve: (value: unknown) => void = nothing;
  #reject: (error: unknown) => void = nothing;

  constructor(scope: Scope, path: string, kind: TaskKind, decode: (record: TaskRecord) => unknown) {
    this.scope = scope;
    this.path = path;
    this.kind = kind;
    this.#decode = decode;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get runId(): string {
    return this.scope.execution.runId;
  }

  /** Place in the settlement queue, once the record is final. */
  get seq(): number {
    return this.record?.seq ?? 0;
  }

  /** Called by the settlement queue when the record is final. */
  settle(): void | Promise<void> {
    const { record } = this;
    if (record === undefined) return;
    if (record.status === "FAILED") return this.#fail(errorOf(record));
    let value: unknown;
    try {
      value = this.#decode(record);
    } catch (error) {
      return this.#fail(error);
    }
    if (!isThenable(value)) return this.#fulfil(value);
    return Promise.resolve(value).then(
      (decoded) => this.#fulfil(decoded),
      (error) => this.#fail(error),
    );
  }

  #fulfil(value: unknown): void {
    if (this.#leave()) this.#resolve(value);
  }

  #fail(error: unknown): void {
    if (!this.#leave()) return;
    // A call that nobody awaits must not end the process when it fails.
    this.promise.catch(() => {});
    this.#reject(error);
  }

  /** False if nobody may hear of it any more. */
  #leave(): boolean {
    if (this.scope.isClosed) return false;
    this.scope.execution.ops.delete(this.path);
    this.scope.opEnds();
    return true;
  }
}

function nothing(): void {}

function errorOf(record: TaskRecord): Error {
  const stored: ErrorRecord = decodeErrorRecord(record.error ?? "");
  return fromErrorRecord(stored);
}
