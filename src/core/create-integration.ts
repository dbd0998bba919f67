import { type Duration, durationOfAtLeast } from "./duration.js";
import { ConfigError } from "./errors.js";
import type { ConnectionAuth, Integration } from "./integration.js";
import type { Io, OnError, Task, TaskOptions } from "./io.js";
import { assertText, type Key } from "./key.js";
import { assertFunction, assertGivenOptions, describe } from "./options.js";
import { retry as presets, type RetryOptions, resolveRetry } from "./retry.js";

/** One call of an SDK as a task; made by {@link task}. */
export interface IntegrationTask<Sdk, Params, Result> {
  readonly kind: "integration-task";
  call(sdk: Sdk, params: Params, task: Task, io: Io): Result | Promise<Result>;
  readonly options: TaskOptions<Result>;
}

/**
 * A task of an integration. Hand `task.idempotencyKey` to what must not happen
 * twice, where the service takes one. `options` come before those of the
 * integration.
 *
 * @example
 * task((sdk: Sdk, params: { channel: string; text: string }, task) => sdk.post(params, { idempotencyKey: task.idempotencyKey }))
 */
export function task<Sdk, Params, Result>(
  call: (sdk: Sdk, params: Params, task: Task, io: Io) => Result | Promise<Result>,
  options: TaskOptions<Result> = {},
): IntegrationTask<Sdk, Params, Result> {
  assertFunction(call, "the first argument of task()");
  return Object.freeze({ kind: "integration-task", call, options });
}

/** Tasks by name, in groups if you like: `chat: { completions: { create: task(…) } }`. */
export interface IntegrationTasks<Sdk> {
  readonly [name: string]: IntegrationTask<Sdk, never, unknown> | IntegrationTasks<Sdk>;
}

/** What `io.<key>` is: each task takes a key first. */
export type IntegrationMethods<Tasks> = {
  readonly [Name in keyof Tasks]: Tasks[Name] extends IntegrationTask<
    infer _Sdk,
    infer Params,
    infer Result
  >
    ? (key: Key, ...rest: AfterKey<Params, TaskOptions<Result>>) => Promise<Result>
    : IntegrationMethods<Tasks[Name]>;
};

/** Parameters are only asked for where the call takes some: without them `task` has `never`. */
type AfterKey<Params, Options> = [Params] extends [never]
  ? [params?: undefined, options?: Options]
  : undefined extends Params
    ? [params?: Params, options?: Options]
    : [params: Params, options?: Options];

export interface RawTask<Sdk> {
  /** The SDK itself, for what has no task of its own; with the retries, the `onError` and the icon of the integration. */
  runTask<Result>(
    key: Key,
    callback: (sdk: Sdk, task: Task, io: Io) => Result | Promise<Result>,
    options?: TaskOptions<Result>,
    onError?: OnError,
  ): Promise<Result>;
}

export type IntegrationClient<Sdk, Tasks> = IntegrationMethods<Tasks> & RawTask<Sdk>;

export interface IntegrationOptions<Sdk, Tasks> {
  /** What `defineAuthResolver` and `connectionReady` name. */
  readonly id: string;
  readonly name?: string;
  /** Makes the SDK once per execution, when it is first used. `auth` is what the auth resolver gave, if there is one. */
  client(auth: ConnectionAuth | undefined): Sdk;
  /**
   * Makes the SDK of one attempt from that of the execution: for an SDK that cannot be given
   * `task.signal` with each call, but once for all. Default: that of the execution.
   */
  forTask?(sdk: Sdk, task: Task): Sdk;
  readonly tasks: Tasks;
  /** "HOSTED": runs do not start without an auth resolver. Default "LOCAL": the integration may have a key of its own. */
  readonly authSource?: "LOCAL" | "HOSTED";
  /** Of each task. Default `retry.standardBackoff`: switch off the retries of the SDK. `false`: one attempt. */
  readonly retry?: RetryOptions | false;
  /** Bounds each attempt of each task, which then fails with TASK_TIMEOUT; its signal fires. Default: none. */
  readonly timeout?: Duration;
  /** Decides what becomes of an error of any of its tasks; see `io.runTask`. */
  readonly onError?: OnError;
  readonly icon?: string;
  /** Dotted paths of outputs that readers do not get to see. */
  readonly redact?: { readonly paths: readonly string[] };
}

/**
 * An integration of any SDK: its calls become tasks of the run, which are tried
 * again, remembered, and made once.
 *
 * @example
 * const mailer = createIntegration({
 *   id: "mailer",
 *   client: () => new Mailer(process.env.MAILER_KEY),
 *   tasks: { send: task((sdk: Mailer, mail: { to: string; text: string }) => sdk.send(mail)) },
 * });
 * client.defineJob({
 *   id: "greet",
 *   trigger: invokeTrigger(),
 *   integrations: { mailer },
 *   run: (_payload, io) => io.mailer.send("hello", { to: "ada@example.com", text: "Hello" }),
 * });
 * @throws ConfigError OPTION_INVALID, OPTION_UNKNOWN
 */
export function createIntegration<Sdk, const Tasks extends IntegrationTasks<Sdk>>(
  options: IntegrationOptions<Sdk, Tasks>,
): Integration<IntegrationClient<Sdk, Tasks>> {
  check(options);
  const { id, name = id, authSource = "LOCAL" } = options;
  return Object.freeze({
    id,
    metadata: { id, name },
    authSource,
    cloneForRun: (io: Io, connectionKey: string, auth?: ConnectionAuth) =>
      // The tree of methods is that of the tasks.
      new Clone(options, io, connectionKey, auth).methods() as IntegrationClient<Sdk, Tasks>,
  });
}

const optionNames = [
  "id",
  "name",
  "client",
  "forTask",
  "tasks",
  "authSource",
  "retry",
  "timeout",
  "onError",
  "icon",
  "redact",
];

function check(options: IntegrationOptions<unknown, unknown>): void {
  assertGivenOptions(options, optionNames, "createIntegration");
  const { id, client, forTask, tasks, authSource, retry, timeout, onError } = options;
  assertText(id, "id of createIntegration");
  const where = `integration "${id}"`;
  assertFunction(client, `client of ${where}`);
  if (forTask !== undefined) assertFunction(forTask, `forTask of ${where}`);
  if (retry !== undefined && retry !== false) resolveRetry(retry);
  if (timeout !== undefined) durationOfAtLeast(1, timeout, `timeout of ${where}`);
  if (onError !== undefined) assertFunction(onError, `onError of ${where}`);
  if (authSource !== undefined && authSource !== "LOCAL" && authSource !== "HOSTED")
    throw invalid(`authSource of ${where} is ${describe(authSource)}; pass "LOCAL" or "HOSTED".`);
  checkTasks(tasks, `tasks of ${where}`);
  if ("runTask" in (tasks as object))
    throw invalid(`tasks of ${where} has "runTask", which each integration has already.`);
}

function checkTasks(tasks: unknown, where: string): void {
  if (typeof tasks !== "object" || tasks === null)
    throw invalid(`${where} is ${describe(tasks)}; pass what task() gives, by name.`);
  for (const [name, entry] of Object.entries(tasks))
    if (!isTask(entry)) checkTasks(entry, `${where}.${name}`);
}

function invalid(text: string): ConfigError {
  return new ConfigError("OPTION_INVALID", text);
}

function isTask(entry: unknown): entry is IntegrationTask<unknown, unknown, unknown> {
  return (entry as { kind?: unknown } | null)?.kind === "integration-task";
}

/** One integration in one execution. */
class Clone<Sdk> {
  readonly #options: IntegrationOptions<Sdk, unknown>;
  readonly #io: Io;
  readonly #connectionKey: string;
  readonly #auth: ConnectionAuth | undefined;
  #sdk: { readonly made: Sdk } | undefined;

  constructor(
    options: IntegrationOptions<Sdk, unknown>,
    io: Io,
    connectionKey: string,
    auth: ConnectionAuth | undefined,
  ) {
    this.#options = options;
    this.#io = io;
    this.#connectionKey = connectionKey;
    this.#auth = auth;
  }

  methods(): object {
    const runTask: RawTask<Sdk>["runTask"] = (key, callback, options = {}, onError) => {
      const body = (task: Task, io: Io) => callback(this.#client(task), task, io);
      return this.#run(key, body, options, onError);
    };
    return { ...this.#methodsOf(this.#options.tasks as object, ""), runTask };
  }

  #methodsOf(tasks: object, prefix: string): object {
    const methods = Object.entries(tasks).map(([name, entry]: [string, unknown]) => [
      name,
      isTask(entry)
        ? this.#method(entry as IntegrationTask<Sdk, unknown, unknown>, prefix + name)
        : this.#methodsOf(entry as object, `${prefix}${name}.`),
    ]);
    return Object.fromEntries(methods);
  }

  #method(definition: IntegrationTask<Sdk, unknown, unknown>, name: string) {
    const label = `${this.#options.name ?? this.#options.id} ${name}`;
    return (key: Key, params: unknown, options: TaskOptions = {}) => {
      const body = (task: Task, io: Io) => definition.call(this.#client(task), params, task, io);
      return this.#run(key, body, { name: label, params, ...definition.options, ...options });
    };
  }

  /** Made in the task, so that what it throws is the task's error. */
  #client(task: Task): Sdk {
    this.#sdk ??= { made: this.#options.client(this.#auth) };
    const { made } = this.#sdk;
    return this.#options.forTask === undefined ? made : this.#options.forTask(made, task);
  }

  #run<Result>(
    key: Key,
    body: (task: Task, io: Io) => Result | Promise<Result>,
    options: TaskOptions<Result>,
    onError = this.#options.onError,
  ): Promise<Result> {
    const { retry = presets.standardBackoff, timeout, icon, redact } = this.#options;
    const defaults = {
      retry,
      connectionKey: this.#connectionKey,
      ...(timeout !== undefined && { timeout }),
      ...(icon && { icon }),
      ...(redact && { redact }),
    };
    // What cannot be stored is refused by the task.
    return this.#io.runTask(key, body as never, { ...defaults, ...options }, onError);
  }
}
