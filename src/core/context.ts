/** Third argument of `run`. The same in every execution of a run, except where said. */
export interface Context {
  readonly run: {
    readonly id: string;
    readonly isTest: boolean;
    /** First start of the run. */
    readonly startedAt: Date;
    /** 1 + number of `retryRun`s. */
    readonly attempt: number;
    /** Calls of `run()` so far, this one included. Rises with each execution. */
    readonly executionCount: number;
    /** `attempt` > 1. */
    readonly isRetry: boolean;
    readonly tags: readonly string[];
    readonly parentId?: string;
  };
  readonly job: { readonly id: string; readonly version: string };
  readonly event: EventContext;
  readonly source?: { readonly id: string; readonly metadata: unknown };
  readonly account?: { readonly id: string; readonly metadata: unknown };
  readonly environment: Environment;
  readonly organization: Organization;
  readonly project: Project;
  /**
   * Fires when this execution must not go on: the run was cancelled or timed
   * out, another worker took it over, or the client stops. One per execution.
   */
  readonly signal: AbortSignal;
}

export interface EventContext {
  readonly id: string;
  /** "invoke" for invoked runs. */
  readonly name: string;
  readonly context: unknown;
  readonly timestamp: Date;
}

export interface Environment {
  readonly id: string;
  readonly slug: string;
  readonly type: "PRODUCTION" | "STAGING" | "DEVELOPMENT" | "PREVIEW";
}

export interface Organization {
  readonly id: string;
  readonly slug: string;
  readonly title: string;
}

export interface Project {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
}

export interface Surroundings {
  readonly environment: Environment;
  readonly organization: Organization;
  readonly project: Project;
}

export const defaultSurroundings: Surroundings = {
  environment: { id: "default", slug: "default", type: "PRODUCTION" },
  organization: { id: "default", slug: "default", title: "Default" },
  project: { id: "default", slug: "default", name: "Default" },
};
