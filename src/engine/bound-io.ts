import type { Duration } from "../core/duration.js";
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
} from "../core/event.js";
import type {
  BackgroundFetchOptions,
  BackgroundPollOptions,
  BackgroundResponse,
  FetchInit,
} from "../core/http.js";
import type {
  BatchItem,
  InvokeAndWaitOptions,
  InvokeOptions,
  Io,
  Logger,
  OnError,
  ParallelOptions,
  Storable,
  Task,
  TaskOptions,
} from "../core/io.js";
import type { AnyJob, JobInput, JobOutput } from "../core/job.js";
import type { Key } from "../core/key.js";
import type { InvokeResult, RunHandle } from "../core/run.js";
import type { Schema } from "../core/schema.js";
import type { StatusHandle, StatusValue } from "../core/status.js";
import type { Stores } from "../core/store.js";
import type { Token, TokenOptions } from "../core/token.js";
import { currentScope } from "./async-context.js";
import type { Execution } from "./execution.js";
import { backgroundFetch } from "./io/background-fetch.js";
import { backgroundPoll } from "./io/background-poll.js";
import { cancelEventTask, getEventTask, sendEventsTask, sendEventTask } from "./io/events.js";
import { invokeTask } from "./io/invoke.js";
import { batchInvokeAndWaitTask, invokeAndWaitTask } from "./io/invoke-and-wait.js";
import { ScopedLogger } from "./io/logger.js";
import { parallel } from "./io/parallel.js";
import { nowValue, randomValue, uuidValue } from "./io/remembered-values.js";
import { runTask } from "./io/run-task.js";
import { createStatus } from "./io/status.js";
import { storesOf } from "./io/store.js";
import { createTokenTask, waitForTokenTask } from "./io/tokens.js";
import { wait } from "./io/wait.js";
import { type Branches, waitForAny } from "./io/wait-for-any.js";
import { waitForEvent } from "./io/wait-for-event.js";
import { waitForRequest } from "./io/wait-for-request.js";
import { yieldExecution } from "./io/yield.js";
import type { Scope } from "./scope.js";

/** `io`: each method is one line to the family that does the work. */
class BoundIo implements Io {
  readonly #own: Scope;

  constructor(scope: Scope) {
    this.#own = scope;
  }

  /** The run's `io` belongs to whatever task of this execution the calling code runs in, a callback's to that task. */
  #scope(): Scope {
    const { execution } = this.#own;
    if (this.#own !== execution.root) return this.#own;
    const current = currentScope();
    return current?.execution === execution ? current : this.#own;
  }

  get logger(): Logger {
    return new ScopedLogger(() => this.#scope());
  }

  get store(): Stores {
    return storesOf(() => this.#scope());
  }

  runTask<T>(
    key: Key,
    callback: ((task: Task, io: Io) => T | Promise<T>) & Storable<T>,
    options?: TaskOptions<T>,
    onError?: OnError,
  ): Promise<T> {
    return runTask(this.#scope(), key, callback, options, onError);
  }

  wait(key: Key, when: Duration | Date): Promise<void> {
    return wait(this.#scope(), key, when);
  }

  waitForAny<B extends Branches>(
    key: Key,
    branches: B,
  ): Promise<
    { [K in keyof B]: { readonly name: K; readonly value: Awaited<ReturnType<B[K]>> } }[keyof B]
  > {
    return waitForAny(this.#scope(), key, branches);
  }

  waitForEvent<const N extends EventNames, S extends Schema | undefined = SchemaOfName<N>>(
    key: Key,
    event: EventWait<N, S>,
    options?: { readonly timeout?: Duration },
  ): Promise<ReceivedEvent<ReceivedPayload<S>>> {
    return waitForEvent(this.#scope(), key, event as EventWait, options);
  }

  createToken<Data = unknown>(key: Key, options?: TokenOptions): Promise<Token<Data>> {
    return createTokenTask(this.#scope(), key, options);
  }

  waitForRequest<Data = unknown>(
    key: Key,
    callback: (url: string) => unknown,
    options?: { readonly timeout?: Duration },
  ): Promise<Data> {
    return waitForRequest(this.#scope(), key, callback, options);
  }

  waitForToken<Data = unknown>(
    key: Key,
    token: Token<Data> | string,
    options?: { readonly timeout?: Duration },
  ): Promise<Data> {
    return waitForTokenTask(this.#scope(), key, token, options);
  }

  parallel<Item, R>(
    key: Key,
    items: readonly Item[],
    callback: (item: Item, index: number, io: Io) => R | Promise<R>,
    options?: ParallelOptions<Item>,
  ): Promise<R[]> {
    return parallel(this.#scope(), key, items, callback, options);
  }

  sendEvent<const N extends EventName>(
    key: Key,
    event: SendEvent<N>,
    options?: SendEventOptions,
  ): Promise<SentEvent> {
    return sendEventTask(this.#scope(), key, event, options);
  }

  sendEvents(
    key: Key,
    events: readonly SendEvent[],
    options?: SendEventOptions,
  ): Promise<readonly SentEvent[]> {
    return sendEventsTask(this.#scope(), key, events, options);
  }

  getEvent(key: Key, id: string): Promise<EventView | undefined> {
    return getEventTask(this.#scope(), key, id);
  }

  cancelEvent(key: Key, id: string): Promise<boolean> {
    return cancelEventTask(this.#scope(), key, id);
  }

  invoke<J extends AnyJob | string>(
    key: Key,
    job: J,
    payload: JobInput<J>,
    options?: InvokeOptions,
  ): Promise<RunHandle<JobOutput<J>>> {
    return invokeTask(this.#scope(), key, job, payload, options);
  }

  invokeAndWait<J extends AnyJob | string>(
    key: Key,
    job: J,
    payload: JobInput<J>,
    options?: InvokeAndWaitOptions,
  ): Promise<InvokeResult<JobOutput<J>>> {
    return invokeAndWaitTask(this.#scope(), key, job, payload, options);
  }

  batchInvokeAndWait<J extends AnyJob | string>(
    key: Key,
    job: J,
    items: readonly BatchItem<JobInput<J>>[],
    options?: { readonly concurrency?: number },
  ): Promise<InvokeResult<JobOutput<J>>[]> {
    return batchInvokeAndWaitTask(this.#scope(), key, job, items, options);
  }

  backgroundFetch<T = unknown>(
    key: Key,
    url: string | URL,
    init?: FetchInit,
    options?: BackgroundFetchOptions,
  ): Promise<T> {
    return backgroundFetch(this.#scope(), "backgroundFetch", key, url, init, options);
  }

  backgroundFetchResponse<T = unknown>(
    key: Key,
    url: string | URL,
    init?: FetchInit,
    options?: BackgroundFetchOptions,
  ): Promise<BackgroundResponse<T>> {
    return backgroundFetch(this.#scope(), "backgroundFetchResponse", key, url, init, options);
  }

  backgroundPoll<T = unknown>(key: Key, options: BackgroundPollOptions): Promise<T> {
    return backgroundPoll(this.#scope(), key, options);
  }

  createStatus(key: Key, value: StatusValue): Promise<StatusHandle> {
    return createStatus(this.#scope(), key, value);
  }

  yield(key: Key): Promise<void> {
    return yieldExecution(this.#scope(), key);
  }

  random(
    key: Key,
    options?: { readonly min?: number; readonly max?: number; readonly round?: boolean },
  ): Promise<number> {
    return randomValue(this.#scope(), key, options);
  }

  now(key: Key): Promise<Date> {
    return nowValue(this.#scope(), key);
  }

  uuid(key: Key): Promise<string> {
    return uuidValue(this.#scope(), key);
  }

  async try<T, C>(body: () => Promise<T>, onCatch: (error: unknown) => Promise<C>): Promise<T | C> {
    try {
      return await body();
    } catch (error) {
      return await onCatch(error);
    }
  }
}

export function boundIo(scope: Scope): Io {
  const io = new BoundIo(scope);
  const { integrations } = scope.execution.job.options;
  if (integrations !== undefined) addIntegrations(scope.execution, io, Object.keys(integrations));
  return io;
}

/** For `job.invoke`: the io of the live execution that the calling code runs in. */
export function currentIo(): Io | undefined {
  const scope = currentScope();
  return scope?.execution.isLive === true ? boundIo(scope) : undefined;
}

function addIntegrations(execution: Execution, io: Io, keys: readonly string[]): void {
  for (const key of keys) {
    Object.defineProperty(io, key, {
      enumerable: true,
      get: () => integrationOf(execution, key),
    });
  }
}

/** It lives as long as the execution, so it has the run's io, whose calls belong to the task that makes them. */
function integrationOf(execution: Execution, key: string): unknown {
  const { integrations, job, root } = execution;
  const { instances } = integrations;
  if (!instances.has(key)) {
    const io = execution.host.ioOf(root);
    const instance = job.options.integrations?.[key]?.cloneForRun(
      io,
      key,
      integrations.connections.get(key),
    );
    instances.set(key, instance);
  }
  return instances.get(key);
}
