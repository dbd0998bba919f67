import type { LogLine, RunRecord, Signal, TaskRecord } from "./storage-records.js";

// What a store holds, one thing at a time, as `exportRuns` gives it and `importRuns` takes it.

/**
 * A run. What only its processes would ask the store for is left out, since those are gone: the claim that it is
 * held by, and whether its last holder has it in memory.
 */
export interface RunItem {
  readonly kind: "run";
  readonly run: RunRecord;
  /** Of the element that made it; null if another run did. */
  readonly createId: string | null;
  /** Of the last write that was more than task records (S4). */
  readonly writeId: string | null;
  /** What its last release said; null and 0 while it is held, and once it is over. */
  readonly wakeAt: number | null;
  readonly wakeSignals: number;
  /** Signals that are not read yet, watches left out. */
  readonly unread: number;
  /** null: it has none, or a later run has taken it. `expiresAt` null: never. */
  readonly key: { readonly expiresAt: number | null } | null;
}

export interface TaskItem {
  readonly kind: "task";
  readonly runId: string;
  readonly writeId: string;
  readonly task: TaskRecord;
}

/** Or a watch. Those of one run come in the order in which they were added, as far as they are not read. */
export interface SignalItem {
  readonly kind: "signal";
  readonly runId: string;
  readonly signal: Signal;
  readonly isRead: boolean;
}

export interface LogItem {
  readonly kind: "log";
  readonly runId: string;
  readonly epoch: number;
  readonly line: LogLine;
}

export interface ValueItem {
  readonly kind: "value";
  readonly key: string;
  /** null: deleted. It stays, so that no version comes again. */
  readonly value: string | null;
  readonly version: number;
}

/** What is left of a purged run. */
export interface TombstoneItem {
  readonly kind: "tombstone";
  readonly id: string;
  readonly createId: string | null;
  readonly fingerprint: string | null;
  readonly createdAt: number;
  readonly until: number;
}

/** The idempotency key of a purged run, whose tombstone comes before it. */
export interface KeyItem {
  readonly kind: "key";
  readonly jobId: string;
  readonly idempotencyKey: string;
  readonly runId: string;
  readonly expiresAt: number | null;
}

export type StoredItem =
  | RunItem
  | TaskItem
  | SignalItem
  | LogItem
  | ValueItem
  | TombstoneItem
  | KeyItem;

export interface ItemQuery {
  /** `next` of the page before. */
  readonly after?: string;
  /** About as much is answered, and never less than one item if there is one in this part of the store. */
  readonly byteBudget: number;
}

export interface ItemPage {
  /** Runs in the order of their creation. May be empty though there is a `next`. */
  readonly items: readonly StoredItem[];
  /** undefined: that was all. */
  readonly next?: string;
}
