// Clients and jobs

export {
  type AuthResolver,
  type NotConnected,
  notConnected,
  type ResolvedAuth,
} from "./core/auth.js";
// For adapters and tests
export type { Clock } from "./core/clock.js";
// Values and errors
export { type Codec, defaultCodec } from "./core/codec.js";
export type { Context, Environment, EventContext, Organization, Project } from "./core/context.js";
export {
  createIntegration,
  type IntegrationClient,
  type IntegrationOptions,
  type IntegrationTask,
  type IntegrationTasks,
  task,
} from "./core/create-integration.js";
export type { Duration } from "./core/duration.js";
export {
  ConfigError,
  type ErrorCode,
  errorCodes,
  isPawlError,
  NonRetriableError,
  PawlError,
  PayloadError,
  type PayloadIssue,
  RetryAfterError,
  RunError,
  StorageError,
  TaskError,
  TaskInterruptedError,
  WaitTimeoutError,
} from "./core/errors.js";
// Triggers and events
export {
  defineEvent,
  type EventDefinition,
  type EventName,
  type EventNames,
  type EventPayload,
  type EventView,
  type EventWait,
  type ReceivedEvent,
  type SendEvent,
  type SendEventOptions,
  type SentEvent,
} from "./core/event.js";
export type {
  BackoffStrategy,
  FetchRetry,
  FetchStrategy,
  HeadersStrategy,
} from "./core/fetch-rules.js";
export type {
  EventFilter,
  FilterFor,
  FilterMatcher,
  FilterOperator,
  FilterScalar,
} from "./core/filter-types.js";
export type { Debounce, FlowOptions, Singleton, StartRate } from "./core/flow.js";
export type {
  BackgroundFetchOptions,
  BackgroundPollOptions,
  BackgroundResponse,
  FetchBody,
  FetchFunction,
  FetchInit,
  ResponseFilter,
} from "./core/http.js";
export type { ConnectionAuth, Integration, Integrations, IoWith } from "./core/integration.js";
// Inside a run
export type {
  BatchItem,
  InvokeAndWaitOptions,
  InvokeOptions,
  Io,
  Logger,
  OnError,
  OnErrorResult,
  ParallelOptions,
  Task,
  TaskOptions,
} from "./core/io.js";
export {
  type AnyJob,
  type ConcurrencyLimit,
  defineJob,
  type Hook,
  type Job,
  type JobInput,
  type JobOptions,
  type JobOutput,
  type KeyedConcurrencyLimit,
  type LogLevel,
} from "./core/job.js";
export type { Key } from "./core/key.js";
export { type HeadersLike, type RateLimitHeaders, retryAfterReset } from "./core/rate-limit.js";
export type { RedactOptions } from "./core/redaction.js";
export { calculateResetAt, type ResetFormat } from "./core/reset-at.js";
export { type RetryOptions, retry } from "./core/retry.js";
// Runs as they are read
export type {
  AttemptView,
  DisplayProperty,
  InvokeResult,
  Run,
  RunHandle,
  RunNotification,
  RunSummary,
  TaskStyle,
  TaskView,
  TaskViewStatus,
} from "./core/run.js";
export { type FinalStatus, finalStatuses, type RunStatus, runStatuses } from "./core/run-status.js";
export type {
  CatchUp,
  CronOptions,
  IntervalOptions,
  Overlap,
  Schedule,
  SchedulePolicyOptions,
} from "./core/schedule.js";
export { cronTrigger, intervalTrigger, type ScheduledPayload } from "./core/schedule-trigger.js";
export type { Schema, SchemaInput, SchemaOutput, StandardSchema } from "./core/schema.js";
export type { StatusHandle, StatusState, StatusValue, StatusView } from "./core/status.js";
export type { Storage } from "./core/storage.js";
export type { EnvStore, KeyedStore, Stores } from "./core/store.js";
export type { CompleteTokenResult, Token, TokenOptions } from "./core/token.js";
export {
  eventTrigger,
  invokeTrigger,
  type Trigger,
  type TriggerData,
  type TriggerExample,
} from "./core/trigger.js";
export { createClient } from "./create-client.js";
export type { Client } from "./engine/client.js";
export type { ClientOptions } from "./engine/client-options.js";
export type { RunRef } from "./engine/client-runs.js";
export type {
  DynamicSchedule,
  DynamicScheduleOptions,
  RegisteredSchedule,
  RegisterOptions,
} from "./engine/dynamic-schedules.js";
export type { ClientEventName, ClientEvents } from "./engine/emitter.js";
export type { Caps } from "./engine/engine.js";
export type { CancelManyResult, CancelResult } from "./engine/manage-runs.js";
export type { PurgeOptions } from "./engine/purge.js";
export type { GetRunOptions, RunFilter, RunList } from "./engine/reads.js";
export type { RunStatuses } from "./engine/run-statuses.js";
export type { ScheduleView } from "./engine/schedules.js";
export type { TransactionClient } from "./engine/transaction-client.js";
export type { WaitForRunOptions } from "./engine/wait-for-run.js";
