import type { Context } from "./context.js";
import type { Duration } from "./duration.js";
import type { FlowOptions } from "./flow.js";
import type { Integrations, IoWith, NoIoKeys } from "./integration.js";
import type { BatchItem, InvokeAndWaitOptions, InvokeOptions, Io } from "./io.js";
import { invokeAndWaitFromJob, invokeFromJob } from "./job-invoke.js";
import { checkJobOptions } from "./job-options.js";
import type { Key } from "./key.js";
import type { RetryOptions } from "./retry.js";
import type { InvokeResult, RunHandle, RunNotification } from "./run.js";
import type { Trigger } from "./trigger.js";

export const logLevels = ["debug", "info", "log", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** A limit that several jobs share; made by `client.defineConcurrencyLimit`. */
export interface ConcurrencyLimit {
  readonly id: string;
  readonly limit: number;
}

/** One limit per `key(payload)`. */
export interface KeyedConcurrencyLimit<Payload> {
  readonly limit: number;
  key(payload: Payload): string;
}

export type Hook = (notification: RunNotification) => unknown;

export interface JobOptions<Input, Payload, Output, I extends Integrations, Tx = unknown>
  extends FlowOptions<Payload> {
  /** Stable identity: 1 to 128 characters of `[A-Za-z0-9._~-]`. */
  readonly id: string;
  readonly trigger: Trigger<Input, Payload>;
  /** Display name. Default: `id`. */
  readonly name?: string;
  /** `x.y.z`, stored on each run. Default "0.0.0". */
  readonly version?: string;
  readonly integrations?: I & NoIoKeys<I>;
  /** false: no new runs, parked runs finish. Default true. */
  readonly enabled?: boolean;
  /** Most executions at a time over all processes on the storage. Parked runs hold no slot. */
  readonly concurrencyLimit?: number | ConcurrencyLimit | KeyedConcurrencyLimit<Payload>;
  /** Default for every task of the job. */
  readonly retry?: RetryOptions;
  /** Wall time from the first start after which the run is TIMED_OUT. Default: none. */
  readonly maxDuration?: Duration;
  /** Executions in a row that died or hit the limit without a new record → TIMED_OUT. Default 5. */
  readonly maxExecutionsWithoutProgress?: number;
  /** Log lines below it are neither stored nor printed. Default: the client's. */
  readonly logLevel?: LogLevel;
  /** Greater goes first; -1000 to 1000, default 0. */
  readonly priority?: number;
  readonly tags?: readonly string[] | ((payload: Payload) => readonly string[]);
  /** Hooks run at least once, survive a crash, and never change the run. */
  readonly onStart?: Hook;
  readonly onSuccess?: Hook;
  /** FAILED, TIMED_OUT, INVALID_PAYLOAD and UNRESOLVED_AUTH. */
  readonly onFailure?: Hook;
  readonly onCancel?: Hook;
  run(payload: Payload, io: IoWith<I, Tx>, context: Context): Output | Promise<Output>;
}

/** A job definition. Pure data with two conveniences; attach it to a client to run it. */
export interface Job<Input = unknown, Payload = unknown, Output = unknown> {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly enabled: boolean;
  readonly trigger: Trigger<Input, Payload>;
  readonly options: JobDefinition;
  /** Outside a run: `invoke(payload, options?)`. */
  invoke(payload: Input, options?: InvokeOptions): Promise<RunHandle<Output>>;
  /** Inside a run: `invoke(key, payload, options?)`. */
  invoke(key: Key, payload: Input, options?: InvokeOptions): Promise<RunHandle<Output>>;
  /** Inside a run only. */
  invokeAndWait(
    key: Key,
    payload: Input,
    options?: InvokeAndWaitOptions,
  ): Promise<InvokeResult<Output>>;
  batchInvokeAndWait(
    key: Key,
    items: readonly BatchItem<Input>[],
    options?: { readonly concurrency?: number },
  ): Promise<InvokeResult<Output>[]>;
  /** Carries the types; never set. */
  readonly "~types"?: { readonly input: Input; readonly output: Output };
}

/** A job of any types. */
export interface AnyJob {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly enabled: boolean;
  readonly trigger: Trigger<never, unknown> | Trigger;
  readonly options: JobDefinition;
  readonly "~types"?: { readonly input: unknown; readonly output: unknown };
}

/** The options with their types forgotten, as the engine holds them. */
export type JobDefinition = Omit<
  JobOptions<unknown, unknown, unknown, Integrations>,
  "integrations" | "run"
> & {
  readonly integrations?: Integrations;
  run(payload: unknown, io: Io, context: Context): unknown;
};

export type JobInput<J> = J extends { readonly "~types"?: { readonly input: infer Input } }
  ? Input
  : unknown;
export type JobOutput<J> = J extends { readonly "~types"?: { readonly output: infer Output } }
  ? Output
  : unknown;

/** The payload may only be left out where the job takes undefined. */
export type InvokeArguments<J> =
  undefined extends JobInput<J>
    ? [payload?: JobInput<J>, options?: InvokeOptions]
    : [payload: JobInput<J>, options?: InvokeOptions];

/**
 * Defines a job without a client: pure, no I/O. `createClient({ jobs: [job] })`
 * or `client.attach(job)` makes it run.
 *
 * @example
 * const hello = defineJob({ id: "hello", trigger: invokeTrigger(), run: async () => "world" });
 * @throws ConfigError JOB_ID_INVALID, VERSION_INVALID, OPTION_UNKNOWN, OPTION_INVALID, INTEGRATION_KEY_RESERVED
 */
export function defineJob<Input, Payload, Output, I extends Integrations = Record<never, never>>(
  options: JobOptions<Input, Payload, Output, I>,
): Job<Input, Payload, Output> {
  checkJobOptions(options);
  const job: Job<Input, Payload, Output> = {
    id: options.id,
    name: options.name ?? options.id,
    version: options.version ?? "0.0.0",
    enabled: options.enabled ?? true,
    trigger: options.trigger,
    // The engine hands `run` exactly what the trigger's schema gave out.
    options: options as unknown as JobDefinition,
    invoke: (...args: unknown[]) => invokeFromJob(job, args) as Promise<RunHandle<Output>>,
    invokeAndWait: (key, payload, invokeOptions) =>
      invokeAndWaitFromJob(job, "invokeAndWait", [key, payload, invokeOptions]) as Promise<
        InvokeResult<Output>
      >,
    batchInvokeAndWait: (key, items, batchOptions) =>
      invokeAndWaitFromJob(job, "batchInvokeAndWait", [key, items, batchOptions]) as Promise<
        InvokeResult<Output>[]
      >,
  };
  return Object.freeze(job);
}
