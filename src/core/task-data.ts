import type { ErrorRecord } from "./error-record.js";
import type { DisplayProperty, TaskStyle } from "./run.js";

/** Kinds of records. A recorded key met by another kind blocks the run (contract E14). */
export const taskKinds = [
  "task",
  "wait",
  "any",
  "parallel",
  "invoke",
  "invokeAndWait",
  "batch",
  "sendEvent",
  "sendEvents",
  "waitForEvent",
  "createToken",
  "waitForToken",
  "waitForRequest",
  "schedule",
  "status",
  "getEvent",
  "cancelEvent",
  "storeGet",
  "storeSet",
  "storeHas",
  "storeDelete",
  "storeIncrement",
  "storeCompareAndSet",
  "backgroundFetch",
  "backgroundFetchResponse",
  "backgroundPoll",
  "yield",
  "random",
  "now",
  "uuid",
] as const;
export type TaskKind = (typeof taskKinds)[number];

/** What a record keeps beside its columns; opaque to the storage. */
export interface TaskData {
  /** Generation and enclosing attempts under which a record that is not COMPLETED was written. */
  readonly tag?: string;
  readonly name?: string;
  readonly icon?: string;
  readonly description?: string;
  readonly style?: TaskStyle;
  readonly properties?: readonly DisplayProperty[];
  readonly outputProperties?: readonly DisplayProperty[];
  readonly redact?: readonly string[];
  readonly connectionKey?: string;
  /** Encoded by the codec. */
  readonly params?: string;
  /** Failed attempts: [startedAt, finishedAt, error]. */
  readonly history?: readonly AttemptRecord[];
  /** The run an invoke started. */
  readonly childId?: string;
  /** The status that this creates or changes: path of its creation. */
  readonly statusPath?: string;
  /** What the call changed in the run's own store. Text by the codec; null: deleted. */
  readonly stored?: { readonly name: string; readonly text: string | null };
  /** Path of the branch that won a `waitForAny`. */
  readonly winner?: string;
  /** The event that a wait received. */
  readonly eventId?: string;
  /** Of a wait that was made anew: events that its earlier tries received, with the seq of each record. */
  readonly passed?: readonly Receipt[];
  /** Epoch ms: earlier events do not count for an open wait. */
  readonly since?: number;
  /** Epoch ms: a poll gives up then. */
  readonly deadlineAt?: number;
  /** What a task found that changes a schedule: it changes that, or nothing. */
  readonly found?: string;
  /** How that run ended, once it has. */
  readonly child?: { readonly jobId: string; readonly status: string };
}

/** An event, and the seq of the record that says it was received. */
export type Receipt = readonly [eventId: string, seq: number];

export type AttemptRecord = readonly [startedAt: number, finishedAt: number, error: ErrorRecord];

/** What is only shown must never fail a task: a field that is no JSON is left out. */
export function encodeTaskData(data: TaskData): string | null {
  const text = jsonOf(data) ?? jsonOf(withoutUnstorable(data));
  return text === undefined || text === "{}" ? null : text;
}

function withoutUnstorable(data: TaskData): TaskData {
  return Object.fromEntries(
    Object.entries(data).filter(([, value]) => jsonOf(value) !== undefined),
  );
}

function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

export function decodeTaskData(text: string | null): TaskData {
  return text === null ? {} : (JSON.parse(text) as TaskData);
}
