import type { EventContext, Surroundings } from "./context.js";
import type { FinalStatus, RunStatus } from "./run-status.js";

/** Names a run and remembers its output type. */
export interface RunHandle<Output = unknown> {
  readonly id: string;
  /** Carries the type; never set. */
  readonly "~output"?: Output;
}

/** A run as `getRun` reads it. */
export interface Run<Output = unknown> {
  readonly id: string;
  readonly jobId: string;
  readonly version: string;
  readonly status: RunStatus;
  /** As it was sent. */
  readonly payload: unknown;
  /** Of a COMPLETED run. */
  readonly output?: Output;
  /** Why it ended badly, or why it is blocked. */
  readonly error?: Error;
  readonly tags: readonly string[];
  readonly priority: number;
  readonly isTest: boolean;
  /** The event that started it; of an invoked run its own id. */
  readonly eventId: string;
  readonly parentId?: string;
  readonly idempotencyKey?: string;
  readonly executionCount: number;
  /** 1 + number of `retryRun`s. */
  readonly attempt: number;
  readonly createdAt: Date;
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
  /** When it is due by time: a delay, a wait, a retry. */
  readonly availableAt?: Date;
  readonly tasks?: readonly TaskView[];
  /** More tasks: pass it as `cursor`. */
  readonly nextCursor?: string;
}

export type TaskViewStatus = "RUNNING" | "WAITING" | "COMPLETED" | "FAILED" | "CANCELED";

/** One attempt of a task that ended. */
export interface AttemptView {
  /** 1-based. */
  readonly number: number;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly error?: Error;
}

export interface TaskView {
  /** The key as it was given; arrays as JSON. */
  readonly key: string;
  readonly path: string;
  /** "task", "wait", "invoke", … */
  readonly kind: string;
  readonly status: TaskViewStatus;
  readonly attempts: readonly AttemptView[];
  readonly output?: unknown;
  readonly error?: Error;
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
  /** When an open wait or retry is due. */
  readonly availableAt?: Date;
  readonly name?: string;
  readonly icon?: string;
  readonly description?: string;
  readonly params?: unknown;
  /** The key of the integration that made it. */
  readonly connectionKey?: string;
  readonly properties?: readonly DisplayProperty[];
  readonly outputProperties?: readonly DisplayProperty[];
  readonly style?: TaskStyle;
  /** The run that an invoke started. */
  readonly childRunId?: string;
  readonly tasks?: readonly TaskView[];
}

export interface DisplayProperty {
  readonly label: string;
  readonly text: string;
  readonly url?: string;
  readonly imageUrl?: string;
}

export interface TaskStyle {
  readonly style: "normal" | "minimal";
  readonly variant?: string;
}

/** What hooks and `on` get. */
export interface RunNotification extends Surroundings {
  readonly id: string;
  /** `status` is COMPLETED. */
  readonly ok: boolean;
  readonly status: FinalStatus | "EXECUTING";
  readonly job: { readonly id: string; readonly version: string };
  readonly event: EventContext;
  readonly account?: { readonly id: string; readonly metadata: unknown };
  readonly payload: unknown;
  readonly output?: unknown;
  readonly error?: Error;
  readonly tags: readonly string[];
  readonly isTest: boolean;
  readonly executionCount: number;
  readonly createdAt: Date;
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
}

/** What a finished child says to the parent that waited for it. */
export type InvokeResult<Output = unknown> =
  | { readonly ok: true; readonly output: Output; readonly run: RunSummary }
  | { readonly ok: false; readonly error: Error; readonly run: RunSummary };

export interface RunSummary {
  readonly id: string;
  readonly jobId: string;
  readonly status: FinalStatus;
}
