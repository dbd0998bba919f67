import type { ErrorRecord } from "../core/error-record.js";
import type { Io } from "../core/io.js";
import type { MissingConnection } from "./connections.js";
import type { Execution } from "./execution.js";
import type { Scope } from "./scope.js";

/** The worker, as an execution sees it. */
export interface ExecutionHost {
  /** `run` is called next: all that it needs is there. */
  starts(execution: Execution): void;
  /** Work that the process has to do before it is idle. */
  meanwhile(work: () => Promise<void>): Promise<void>;
  /** The park is committed; the frame may be kept. */
  parked(execution: Execution): void;
  /** Ended, released or lost: it holds no slot any more. */
  left(execution: Execution): void;
  /** User code goes on by itself after the park: the run must be held again. */
  reclaim(execution: Execution): void;
  /** No other execution is live in this process, as far as the worker knows. */
  /** How many it has at this moment. */
  readonly executions: number;
  /** The `io` of a scope; the worker knows it, since `io` imports all that knows executions. */
  ioOf(scope: Scope): Io;
}

/** Why an execution ends before its run does. */
export type LeaveReason =
  | { readonly kind: "yield" | "limit" | "stop" }
  | { readonly kind: "connections"; readonly missing: readonly MissingConnection[] }
  | { readonly kind: "blocked"; readonly error: ErrorRecord };

/**
 * running → parking (the park commit is on its way) → parked → running …, and
 * from running to finishing (`run` returned) or leaving (the run goes on
 * elsewhere), then over.
 */
export type Phase = "running" | "finishing" | "leaving" | "parking" | "parked" | "over";
