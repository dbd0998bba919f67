import type { Key } from "./key.js";

/** Something about the progress of a run that people look at. */
export interface StatusValue {
  readonly label: string;
  readonly state?: StatusState;
  /** Replaced as a whole by each update that has it. */
  readonly data?: unknown;
}

export type StatusState = "loading" | "success" | "failure";

export const statusStates: readonly StatusState[] = ["loading", "success", "failure"];

/** What `io.createStatus` gives. */
export interface StatusHandle {
  /** Changes what is given, and keeps the rest. Remembered: a replay does not do it again. */
  update(key: Key, change: Partial<StatusValue>): Promise<void>;
}

/** A status as it is read. */
export interface StatusView extends StatusValue {
  /** Path of the `createStatus` call: its key, with those of the enclosing tasks before it. */
  readonly key: string;
  readonly updatedAt: Date;
  /** What it was before, oldest first. */
  readonly history: readonly (StatusValue & { readonly updatedAt: Date })[];
}
