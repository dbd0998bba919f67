import { defaultCodec } from "../core/codec.js";
import { defaultSurroundings } from "../core/context.js";
import { type Duration, durationMs } from "../core/duration.js";
import { ConfigError, RunError } from "../core/errors.js";
import type { EventName, SendEvent, SendEventOptions, SentEvent } from "../core/event.js";
import type { Integrations } from "../core/integration.js";
import type { InvokeOptions } from "../core/io.js";
import {
  type AnyJob,
  type ConcurrencyLimit,
  defineJob,
  type Job,
  type JobInput,
  type JobOptions,
  type JobOutput,
} from "../core/job.js";
import { offerInvoker } from "../core/job-invoke.js";
import { assertText } from "../core/key.js";
import { assertInteger, assertOptions } from "../core/options.js";
import type { Run, RunHandle } from "../core/run.js";
import type { RunStatus } from "../core/run-status.js";
import type { Storage } from "../core/storage.js";
import { maxDurationMsOf } from "./admission.js";
import { currentScope } from "./async-context.js";
import { type ClientOptions, checkClientOptions } from "./client-options.js";
import { assertJobIsNew, leavePlace, takePlace } from "./client-places.js";
import { invokeRun } from "./direct-start.js";
import { type ClientEventName, clientEventNames, Emitter, type Listener } from "./emitter.js";
import { defaultCaps, Engine } from "./engine.js";
import { explainRun } from "./explain.js";
import { JobTable } from "./job-table.js";
import {
  type CancelManyResult,
  type CancelResult,
  cancelRun,
  cancelRunsOf,
  replayRun,
  retryRun,
} from "./manage-runs.js";
import { type PurgeOptions, purge } from "./purge.js";
import { type GetRunOptions, getRun, getRuns, type RunFilter, type RunList } from "./reads.js";
import { registrationOf } from "./registry.js";
import { sendEvents } from "./send-events.js";
import { systemClock } from "./system-clock.js";
import { type WaitForRunOptions, waitForRun } from "./wait-for-run.js";
import { Worker } from "./worker.js";

const DEFAULT_STOP_TIMEOUT_MS = 10_000;

/** Names a run by its id or its handle. */
export type RunRef<Output = unknown> = string | RunHandle<Output>;

/** Sends events, starts and manages runs and, once started, executes them. Made by `createClient`. */
export class Client {
  readonly id: string | undefined;
  readonly #engine: Engine;
  readonly #worker: Worker;
  readonly #ownsStorage: boolean;
  readonly #withdrawals: (() => void)[] = [];
  #ready: Promise<void> | undefined;
  #registering: Promise<void> = Promise.resolve();
  #stopped = false;
  #keepAlive: (() => void) | undefined;

  constructor(options: ClientOptions, storage: Storage) {
    checkClientOptions(options);
    this.id = options.id;
    this.#ownsStorage = options.storage === undefined;
    const output = (line: string) => console.error(line);
    const onTrouble =
      options.onError ??
      ((error: unknown) =>
        output(`pawl: ${error instanceof Error ? error.message : String(error)}`));
    const { environment, organization, project } = { ...defaultSurroundings, ...defined(options) };
    this.#engine = new Engine({
      storage,
      clock: options.clock ?? systemClock,
      codec: options.codec ?? defaultCodec,
      leaseMs: options.leaseMs ?? 30_000,
      pollMs: options.pollMs ?? 1_000,
      maxParked: options.maxParked ?? 1_000,
      executionLimitMs: options.executionLimitMs,
      retry: options.retry,
      logLevel: options.logLevel ?? "info",
      caps: { ...defaultCaps, ...options.caps },
      surroundings: { environment, organization, project },
      jobs: new JobTable(),
      emitter: new Emitter(onTrouble),
      onTrouble,
      output,
    });
    this.#worker = new Worker(this.#engine, options.concurrency ?? 100);
    this.#engine.onEndedFromOutside = (runId, reason) =>
      this.#worker.endedFromOutside(runId, reason);
    takePlace(this, options.reload ?? false);
    for (const job of options.jobs ?? []) this.attach(job);
  }

  // ---- jobs

  /** `defineJob` and `attach` in one. */
  defineJob<Input, Payload, Output, I extends Integrations = Record<never, never>>(
    options: JobOptions<Input, Payload, Output, I>,
  ): Job<Input, Payload, Output> {
    const job = defineJob(options);
    this.attach(job);
    return job;
  }

  /** Adds a job to this client, before or after `start`. @throws ConfigError JOB_DUPLICATE */
  attach(job: AnyJob): void {
    assertJobIsNew(this, job.id);
    this.#engine.jobs.add(job);
    this.#withdrawals.push(
      offerInvoker(job, {
        invoke: (_, payload, options) =>
          this.invoke(job, payload as never, options as InvokeOptions),
      }),
    );
    if (this.#worker.isRunning) void this.#register().then(() => this.#worker.claimSoon());
  }

  /** True while a job of this id would collide. */
  hasJob(jobId: string): boolean {
    return this.#engine.jobs.get(jobId) !== undefined;
  }

  /** A limit on executions at a time that several jobs share. */
  defineConcurrencyLimit(options: ConcurrencyLimit): ConcurrencyLimit {
    assertOptions(options, ["id", "limit"], "defineConcurrencyLimit");
    assertText(options.id, "id of defineConcurrencyLimit");
    assertInteger(options.limit, `limit of "${options.id}"`, { min: 1 });
    return Object.freeze({ ...options });
  }

  /** Forgets the registration of a job that no process has any more: events start no runs of it. */
  async removeJob(jobId: string): Promise<void> {
    await this.#prepare();
    await this.#engine.registry.remove(jobId);
  }

  // ---- life

  /** Executes runs in this process until `stop`. Keeps the process alive; installs no signal handler. */
  async start(): Promise<void> {
    await this.#prepare();
    this.#keepAlive ??= this.#engine.clock.setTimer(KEEP_ALIVE_MS, () => {});
    await this.#worker.start();
  }

  /**
   * Takes no new runs, lets running tasks finish until `timeout` (default
   * 10 s), fires their signals then, gives all runs back and closes the storage.
   */
  async stop(options: { readonly timeout?: Duration } = {}): Promise<void> {
    assertOptions(options, ["timeout"], "stop");
    if (this.#stopped) return;
    this.#stopped = true;
    const timeoutMs =
      options.timeout === undefined
        ? DEFAULT_STOP_TIMEOUT_MS
        : durationMs(options.timeout, "timeout of stop");
    for (const withdraw of this.#withdrawals) withdraw();
    leavePlace(this);
    await this.#worker.stop(timeoutMs);
    this.#keepAlive?.();
    this.#engine.patience.giveUp();
    await this.#engine.rawStorage.close();
  }

  /** Executes all that is due now, then resolves: for tests and for hosts driven by cron. */
  async drain(): Promise<void> {
    await this.#prepare();
    await this.#worker.drain();
  }

  // ---- events and runs

  async sendEvent<const N extends EventName>(
    event: SendEvent<N>,
    options?: SendEventOptions,
  ): Promise<SentEvent> {
    const [sent] = await this.sendEvents([event], options);
    if (sent === undefined) throw new ConfigError("EVENT_INVALID", "sendEvent got no event.");
    return sent;
  }

  /** All or nothing. */
  async sendEvents(
    events: readonly SendEvent[],
    options?: SendEventOptions,
  ): Promise<readonly SentEvent[]> {
    this.#refuseInRun("sendEvent");
    await this.#prepare();
    const sent = await sendEvents(this.#engine, events, options);
    this.#worker.claimSoon();
    return sent;
  }

  /** @throws PayloadError PAYLOAD_INVALID; RunError IDEMPOTENCY_CONFLICT; ConfigError JOB_UNKNOWN, JOB_DISABLED, OPTION_UNKNOWN */
  async invoke<J extends AnyJob | string>(
    job: J,
    payload?: JobInput<J>,
    options: InvokeOptions = {},
  ): Promise<RunHandle<JobOutput<J>>> {
    this.#refuseInRun("invoke");
    if (this.#ready === undefined || !this.#isPrepared) await this.#prepare();
    return { id: await invokeRun(this.#engine, this.#worker, job, payload, options) };
  }

  async getRun<Output = unknown>(
    run: RunRef<Output>,
    options?: GetRunOptions,
  ): Promise<Run<Output> | undefined> {
    await this.#prepare();
    return (await getRun(this.#engine, idOf(run), options)) as Run<Output> | undefined;
  }

  /** Newest first. */
  async getRuns(filter?: RunFilter): Promise<RunList> {
    await this.#prepare();
    return getRuns(this.#engine, filter);
  }

  /**
   * Resolves with the run in its final state, whatever that is.
   * @throws RunError RUN_NOT_FOUND, RUN_WAIT_TIMEOUT; the error of a blocked run
   */
  async waitForRun<Output = unknown>(
    run: RunRef<Output>,
    options?: WaitForRunOptions,
  ): Promise<Run<Output>> {
    await this.#prepare();
    return (await waitForRun(this.#engine, idOf(run), options)) as Run<Output>;
  }

  /** After it resolves, nothing more of the run is recorded. A finished run stays as it is. */
  async cancelRun(run: RunRef): Promise<CancelResult> {
    this.#refuseInRun("cancelRun");
    await this.#prepare();
    return cancelRun(this.#engine, idOf(run));
  }

  async cancelRunsForJob(jobId: string): Promise<CancelManyResult> {
    this.#refuseInRun("cancelRunsForJob");
    await this.#prepare();
    return cancelRunsOf(this.#engine, { jobId });
  }

  async cancelRunsForEvent(eventId: string): Promise<CancelManyResult> {
    this.#refuseInRun("cancelRunsForEvent");
    await this.#prepare();
    return cancelRunsOf(this.#engine, { eventId });
  }

  /** Lets a run that ended badly go on: completed tasks are kept, failed ones are tried afresh. */
  async retryRun<Output = unknown>(run: RunRef<Output>): Promise<RunHandle<Output>> {
    this.#refuseInRun("retryRun");
    await this.#prepare();
    await retryRun(this.#engine, idOf(run));
    this.#worker.claimSoon();
    return { id: idOf(run) };
  }

  /** A new run with the same payload, or with `payload`. */
  async replayRun<Output = unknown>(
    run: RunRef<Output>,
    options?: { readonly payload?: unknown },
  ): Promise<RunHandle<Output>> {
    this.#refuseInRun("replayRun");
    assertOptions(options, ["payload"], "replayRun");
    await this.#prepare();
    const handle = await replayRun(this.#engine, idOf(run), options);
    this.#worker.claimSoon();
    return handle as RunHandle<Output>;
  }

  /** Why it is not moving, in one sentence. undefined for an unknown id. */
  async explainRun(run: RunRef): Promise<string | undefined> {
    await this.#prepare();
    return explainRun(this.#engine, idOf(run));
  }

  /** Deletes runs that ended before `olderThan` ago. Event ids and idempotency keys stay remembered for `dedupeRetention`. */
  async purge(options: PurgeOptions): Promise<{ purged: number }> {
    await this.#prepare();
    return purge(this.#engine, options);
  }

  /** Number of runs by status. */
  async stats(): Promise<{ runs: Partial<Record<RunStatus, number>> }> {
    await this.#prepare();
    return { runs: await this.#engine.rawStorage.countRuns() };
  }

  /** This process only, best effort; a job's hooks are durable. Answers a function that ends it. */
  on<E extends ClientEventName>(event: E, listener: Listener<E>): () => void {
    if (!(clientEventNames as readonly string[]).includes(event)) {
      throw new ConfigError(
        "OPTION_INVALID",
        `There is no client event "${event}". Use one of ${clientEventNames.join(", ")}.`,
      );
    }
    return this.#engine.emitter.on(event, listener);
  }

  // ---- getting ready

  #isPrepared = false;

  /** Opens the storage and makes the jobs known, before the first call that needs it. */
  async #prepare(): Promise<void> {
    if (this.#stopped) {
      throw new ConfigError(
        "CLIENT_STOPPED",
        "This client was stopped. Create a new one with createClient.",
      );
    }
    this.#ready ??= this.#open();
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
    await this.#register();
    this.#isPrepared = true;
  }

  async #open(): Promise<void> {
    const { rawStorage, clock, storeClock } = this.#engine;
    await rawStorage.init({ clock });
    storeClock.observe(await rawStorage.now());
    if (this.#ownsStorage) {
      this.#engine.warnOnce(
        "memory",
        'createClient got no storage: runs are kept in memory and are gone when the process ends. Pass storage: sqlite("app.db").',
      );
    }
  }

  #register(): Promise<void> {
    const { jobs, registry } = this.#engine;
    if (jobs.takeChanged()) {
      const registrations = jobs.all().map((job) => registrationOf(job, maxDurationMsOf(job)));
      this.#isPrepared = false;
      this.#registering = this.#registering
        .then(() => registry.register(registrations))
        .catch((error) => {
          jobs.registrationFailed();
          throw error;
        });
      this.#registering.catch(() => {});
    }
    return this.#registering;
  }

  /** A replay of `run` would repeat the call. */
  #refuseInRun(method: string): void {
    const scope = currentScope();
    if (scope === undefined || scope.isTask || !scope.execution.isLive) return;
    throw new RunError(
      "KEY_REQUIRED",
      `client.${method} was called in run ${scope.execution.runId} outside of a task, where each replay would repeat it. Use io.${method === "invoke" || method === "sendEvent" ? method : "runTask"} with a key.`,
    );
  }
}

/** Timers of the worker alone may be far away. */
const KEEP_ALIVE_MS = 365 * 86_400_000;

function idOf(run: RunRef): string {
  return typeof run === "string" ? run : run.id;
}

function defined(
  options: ClientOptions,
): Pick<ClientOptions, "environment" | "organization" | "project"> {
  const { environment, organization, project } = options;
  return {
    ...(environment === undefined ? undefined : { environment }),
    ...(organization === undefined ? undefined : { organization }),
    ...(project === undefined ? undefined : { project }),
  };
}
