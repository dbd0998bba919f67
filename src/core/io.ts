import type { Duration } from "./duration.js";
import type {
  EventName,
  EventNames,
  EventView,
  EventWait,
  ReceivedEvent,
  ReceivedPayload,
  SchemaOfName,
  SendEvent,
  SendEventOptions,
  SentEvent,
} from "./event.js";
import type {
  BackgroundFetchOptions,
  BackgroundPollOptions,
  BackgroundResponse,
  FetchInit,
} from "./http.js";
import type { AnyJob, JobInput, JobOutput } from "./job.js";
import type { Key } from "./key.js";
import type { RetryOptions } from "./retry.js";
import type { DisplayProperty, InvokeResult, RunHandle, TaskStyle } from "./run.js";
import type { Schema } from "./schema.js";
import type { StatusHandle, StatusValue } from "./status.js";
import type { Stores } from "./store.js";
import type { Token, TokenOptions } from "./token.js";

/** What a task's callback knows about itself. */
export interface Task {
  /** Run id and path: the identity of the task. */
  readonly id: string;
  readonly key: string;
  /** 1-based: recorded attempts + 1. A crash does not raise it. */
  readonly attempt: number;
  /** The same in every attempt and execution of this task; hand it to a payment API. */
  readonly idempotencyKey: string;
  /** Fires on timeout, cancel, loss of the lease and `stop`. */
  readonly signal: AbortSignal;
  /** Shown with the output; write it during the attempt. */
  outputProperties: readonly DisplayProperty[] | undefined;
}

export interface TaskOptions<T = unknown> {
  readonly name?: string;
  readonly icon?: string;
  readonly description?: string;
  readonly properties?: readonly DisplayProperty[];
  /** Recorded input, for display. */
  readonly params?: unknown;
  /** The key of the integration that makes the task, for display. */
  readonly connectionKey?: string;
  readonly style?: TaskStyle;
  /** Dotted paths of the output that readers do not get to see. What is stored stays whole. */
  readonly redact?: { readonly paths: readonly string[] };
  /** Without it (here, on the job or on the client) there is one attempt. `false`: one attempt whatever they say. */
  readonly retry?: RetryOptions | false;
  /** Bounds one attempt in a live process; the attempt fails with TASK_TIMEOUT and its signal fires. */
  readonly timeout?: Duration;
  /** The callback does not start before; the run parks. */
  readonly delayUntil?: Date;
  /** The callback is not called; the task completes with undefined. */
  readonly noop?: boolean;
  /** Applied to each returned output, first time and replay. */
  readonly parseOutput?: (output: unknown) => T;
  /**
   * "at-most-once": the start is recorded before the callback, and an attempt
   * that was interrupted is never made again but rejects with
   * TASK_INTERRUPTED. Default "at-least-once".
   */
  readonly mode?: "at-least-once" | "at-most-once";
  /** The callback's third argument is a transaction, which commits with the task's record. Default false. */
  readonly transaction?: boolean;
}

/** What `onError` may decide: nothing, another error, another time, or the end. */
export type OnErrorResult =
  | undefined
  // biome-ignore lint/suspicious/noConfusingVoidType: a callback that only logs has no return statement.
  | void
  | Error
  | { readonly retryAt: Date; readonly error?: unknown }
  | { readonly skipRetrying: true };

/** `now` is the time of the client's clock, from which `retryAt` is reckoned. */
export type OnError = (
  error: unknown,
  task: Task,
  io: Io,
  now: Date,
) => OnErrorResult | Promise<OnErrorResult>;

/** Makes a callback whose result cannot be stored a compile error that says so. `never` and `any` pass. */
export type Storable<T> = unknown extends T
  ? unknown
  : [Extract<T, (...args: never) => unknown>] extends [never]
    ? unknown
    : "A task cannot return a function: what it returns is stored.";

export interface InvokeOptions {
  /** Scoped to the job: a second invoke with it gets the first run. */
  readonly idempotencyKey?: string;
  /** After it the key starts a new run. Default: never. Only together with `idempotencyKey`. */
  readonly idempotencyKeyTTL?: Duration;
  /** Not before it is over. */
  readonly delay?: Duration;
  /** Not before this instant. Not together with `delay`. */
  readonly runAt?: Date;
  /** Greater goes first; -1000 to 1000, default 0. */
  readonly priority?: number;
  readonly tags?: readonly string[];
  readonly accountId?: string;
  /** Readable as `context.event.context`. */
  readonly context?: unknown;
  readonly isTest?: boolean;
  /** A run that has not started by then is CANCELED with RUN_EXPIRED. */
  readonly ttl?: Duration;
}

export interface InvokeAndWaitOptions extends InvokeOptions {
  /** Rejects with WAIT_TIMEOUT; the child goes on. Default: none. */
  readonly timeout?: Duration;
}

export interface BatchItem<Input> {
  readonly payload: Input;
  readonly options?: InvokeAndWaitOptions;
}

export interface ParallelOptions<Item> {
  /** At most this many items at a time. Default: all. */
  readonly concurrency?: number;
  /** Key of an item's task. Default: its index. */
  readonly keyBy?: (item: Item, index: number) => Key;
  readonly name?: string;
}

export interface Logger {
  debug(message: string, data?: unknown): void;
  info(message: string, data?: unknown): void;
  log(message: string, data?: unknown): void;
  warn(message: string, data?: unknown): void;
  error(message: string, data?: unknown): void;
}

/**
 * What `run` and tasks call. Everything that is remembered takes a key first;
 * a key is unique among its siblings. `Tx` is what the storage of the job's
 * client hands to a task with `transaction: true`.
 */
export interface Io<Tx = unknown> {
  /**
   * Runs `callback` in a transaction of the storage's database, which commits its writes through `tx`
   * together with the record: whatever crashes, they are there once, and none of a callback that throws.
   * It makes no `io` call, and leaves begin and commit to Pawl. On SQLite it answers at once, without a promise.
   *
   * @example
   * await io.runTask("book", async (task, io, tx) => {
   *   await tx.query("update accounts set balance = balance - $1 where id = $2", [price, id]);
   * }, { transaction: true });
   * @throws ConfigError TRANSACTION_UNSUPPORTED; TaskError TRANSACTION_FAILED, TRANSACTION_ASYNC
   */
  runTask<T>(
    key: Key,
    callback: ((task: Task, io: Io<Tx>, tx: Tx) => T | Promise<T>) & Storable<T>,
    options: TaskOptions<T> & { readonly transaction: true },
    onError?: OnError,
  ): Promise<T>;
  /**
   * Runs `callback` once and remembers what it returns: a later execution of
   * the run gets the same value back and does not call it again. A crash before
   * the record is committed repeats the callback, so hand
   * `task.idempotencyKey` to what must not happen twice.
   *
   * @example
   * const user = await io.runTask("load-user", () => db.user(payload.id), { retry: { limit: 3 } });
   */
  runTask<T>(
    key: Key,
    callback: ((task: Task, io: Io<Tx>) => T | Promise<T>) & Storable<T>,
    options?: TaskOptions<T>,
    onError?: OnError,
  ): Promise<T>;
  /** Parks the run until then; a number is seconds. At or before now: goes on at once. */
  wait(key: Key, when: Duration | Date): Promise<void>;
  /**
   * Parks until an event comes that fits, and gives the first one since the run
   * was created that no earlier wait of the run was given. An event that comes
   * before the wait, at the same moment or later is received once. Rejects with
   * WAIT_TIMEOUT after `timeout` (default: none), and with PAYLOAD_INVALID if the
   * schema refuses the payload.
   *
   * @example
   * const paid = await io.waitForEvent("paid", { name: "order.paid", filter: { orderId: [order.id] } }, { timeout: "2d" });
   */
  waitForEvent<const N extends EventNames, S extends Schema | undefined = SchemaOfName<N>>(
    key: Key,
    event: EventWait<N, S>,
    options?: { readonly timeout?: Duration },
  ): Promise<ReceivedEvent<ReceivedPayload<S>>>;
  /**
   * A token that code outside of the run completes: keep its id where that code
   * finds it, then wait for it.
   *
   * @example
   * const approval = await io.createToken<{ by: string }>("approval", { timeout: "7d" });
   * await io.runTask("ask", () => mail.send(boss, `https://shop.example/approve/${approval.id}`));
   * const { by } = await io.waitForToken("approved", approval); // client.completeToken(id, { by: "Ada" })
   */
  createToken<Data = unknown>(key: Key, options?: TokenOptions): Promise<Token<Data>>;
  /**
   * Parks until the token is completed, and gives what it was completed with; at
   * once if it was before. Rejects with WAIT_TIMEOUT when the token expires, or
   * after `timeout`, and with TOKEN_NOT_FOUND.
   */
  waitForToken<Data = unknown>(
    key: Key,
    token: Token<Data> | string,
    options?: { readonly timeout?: Duration },
  ): Promise<Data>;
  /**
   * Hands a URL to `callback`, as a task of its own, and parks until somebody
   * answers there: `client.completeToken(new URL(request.url), data)` in the route
   * of the app that `publicUrl` leads to. Gives that data. Rejects with WAIT_TIMEOUT
   * after `timeout` (default: none).
   *
   * @example
   * const { status } = await io.waitForRequest<{ status: string }>(
   *   "scan",
   *   (url) => scanner.start({ file: payload.file, callbackUrl: url }),
   *   { timeout: "1h" },
   * );
   */
  waitForRequest<Data = unknown>(
    key: Key,
    callback: (url: string) => unknown,
    options?: { readonly timeout?: Duration },
  ): Promise<Data>;
  /** The first branch to settle wins; the others are disarmed in its commit. */
  waitForAny<B extends Readonly<Record<string, (io: Io<Tx>) => unknown>>>(
    key: Key,
    branches: B,
  ): Promise<
    { [K in keyof B]: { readonly name: K; readonly value: Awaited<ReturnType<B[K]>> } }[keyof B]
  >;
  /** A task per item; results in the order of the items. The first error is thrown when all have ended. */
  parallel<Item, R>(
    key: Key,
    items: readonly Item[],
    callback: (item: Item, index: number, io: Io<Tx>) => R | Promise<R>,
    options?: ParallelOptions<Item>,
  ): Promise<R[]>;

  /** Exactly one event per task, also after a crash between send and record. */
  sendEvent<const N extends EventName>(
    key: Key,
    event: SendEvent<N>,
    options?: SendEventOptions,
  ): Promise<SentEvent>;
  sendEvents(
    key: Key,
    events: readonly SendEvent[],
    options?: SendEventOptions,
  ): Promise<readonly SentEvent[]>;

  /** As it is at this moment; remembered. */
  getEvent(key: Key, id: string): Promise<EventView | undefined>;
  /** True unless it was delivered, or never was; remembered. */
  cancelEvent(key: Key, id: string): Promise<boolean>;

  /** Starts a run and does not wait for it. */
  invoke<J extends AnyJob | string>(
    key: Key,
    job: J,
    payload: JobInput<J>,
    options?: InvokeOptions,
  ): Promise<RunHandle<JobOutput<J>>>;
  /** Starts a run and parks until it ends, well or badly. Rejects only on timeout. */
  invokeAndWait<J extends AnyJob | string>(
    key: Key,
    job: J,
    payload: JobInput<J>,
    options?: InvokeAndWaitOptions,
  ): Promise<InvokeResult<JobOutput<J>>>;
  /** Results in the order of the items. */
  batchInvokeAndWait<J extends AnyJob | string>(
    key: Key,
    job: J,
    items: readonly BatchItem<JobInput<J>>[],
    options?: { readonly concurrency?: number },
  ): Promise<InvokeResult<JobOutput<J>>[]>;

  /**
   * An HTTP request that is sent in this process, once, and whose answer is remembered: parsed JSON,
   * text, or bytes, by the content type. What `retry` says is tried again, and the run is parked
   * between tries. A crash before the record repeats the request, with the same idempotency key in
   * its header. The `retry` of job and client does not apply.
   *
   * @example
   * const rates = await io.backgroundFetch<Rates>("rates", "https://api.example/rates", {}, {
   *   retry: {
   *     429: { strategy: "headers", resetHeader: "x-ratelimit-reset", remainingHeader: "x-ratelimit-remaining" },
   *     "5xx": { strategy: "backoff", limit: 8 },
   *   },
   * });
   * @throws TaskError FETCH_ANSWER_UNEXPECTED for a status other than 2xx, FETCH_FAILED, TASK_TIMEOUT;
   * PayloadError VALUE_TOO_LARGE; ConfigError OPTION_INVALID, OPTION_UNKNOWN, FILTER_INVALID
   */
  backgroundFetch<T = unknown>(
    key: Key,
    url: string | URL,
    init?: FetchInit,
    options?: BackgroundFetchOptions,
  ): Promise<T>;
  /** As `backgroundFetch`, with status and headers. */
  backgroundFetchResponse<T = unknown>(
    key: Key,
    url: string | URL,
    init?: FetchInit,
    options?: BackgroundFetchOptions,
  ): Promise<BackgroundResponse<T>>;
  /**
   * Sends a request at intervals until an answer meets the filter, and gives its body. The run is
   * parked between polls; each poll is an attempt of the task. Failures and other answers only mean
   * that it goes on. Rejects with WAIT_TIMEOUT, which names the last one, and with VALUE_TOO_LARGE.
   *
   * @example
   * const report = await io.backgroundPoll<Report>("report", {
   *   url: `https://api.example/exports/${id}`,
   *   interval: "30s",
   *   timeout: "2h",
   *   responseFilter: { status: [200], body: { state: ["done"] } },
   * });
   */
  backgroundPoll<T = unknown>(key: Key, options: BackgroundPollOptions): Promise<T>;

  /**
   * Progress that people can look at, with `client.getRunStatuses`.
   *
   * @example
   * const status = await io.createStatus("import", { label: "Import", state: "loading" });
   * await status.update("half", { data: { done: 50 } });
   * await status.update("end", { state: "success" });
   */
  createStatus(key: Key, value: StatusValue): Promise<StatusHandle>;
  /** Ends this execution; the run goes on at once in a new one. */
  yield(key: Key): Promise<void>;
  /** min inclusive, max exclusive (inclusive with `round`); default 0 to 1. */
  random(
    key: Key,
    options?: { readonly min?: number; readonly max?: number; readonly round?: boolean },
  ): Promise<number>;
  now(key: Key): Promise<Date>;
  uuid(key: Key): Promise<string>;
  readonly logger: Logger;
  /**
   * Key-value data of this run, of its job and of everybody.
   *
   * @example
   * const count = await io.store.job.increment("count", "orders");
   * await io.store.run.set("note", "first", { count });
   */
  readonly store: Stores;
  /** `try/catch` as a call. Plain `try/catch` works just as well. */
  try<T, C>(body: () => Promise<T>, onCatch: (error: unknown) => Promise<C>): Promise<T | C>;
}

/** The keys an integration may not take. */
export const ioKeys = [
  "runTask",
  "wait",
  "waitForAny",
  "waitForEvent",
  "createToken",
  "waitForToken",
  "waitForRequest",
  "parallel",
  "sendEvent",
  "sendEvents",
  "getEvent",
  "cancelEvent",
  "invoke",
  "invokeAndWait",
  "batchInvokeAndWait",
  "backgroundFetch",
  "backgroundFetchResponse",
  "backgroundPoll",
  "createStatus",
  "yield",
  "random",
  "now",
  "uuid",
  "logger",
  "store",
  "try",
] as const satisfies readonly (keyof Io)[];
