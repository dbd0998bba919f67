import { type Duration, durationMs } from "../core/duration.js";
import { ConfigError } from "../core/errors.js";
import type { EventName, SendEvent, SendEventOptions, SentEvent } from "../core/event.js";
import type { Integrations } from "../core/integration.js";
import type { InvokeOptions } from "../core/io.js";
import {
  type AnyJob,
  type ConcurrencyLimit,
  defineJob,
  type InvokeArguments,
  type Job,
  type JobOptions,
  type JobOutput,
} from "../core/job.js";
import { offerCurrentIo, offerInvoker } from "../core/job-invoke.js";
import { assertJob } from "../core/job-options.js";
import { assertText } from "../core/key.js";
import { assertInteger, assertOptions } from "../core/options.js";
import type { Run, RunHandle } from "../core/run.js";
import type { RunStatus } from "../core/run-status.js";
import type { Storage } from "../core/storage.js";
import { currentIo } from "./bound-io.js";
import { type ClientOptions, checkClientOptions } from "./client-options.js";
import { assertJobIsNew, leavePlace, takePlace } from "./client-places.js";
import { invokeRun } from "./direct-start.js";
import type { ClientEventName, Listener } from "./emitter.js";
import type { Engine } from "./engine.js";
import { engineOf } from "./engine-of.js";
import { explainRun } from "./explain.js";
import {
  type CancelManyResult,
  type CancelResult,
  cancelRun,
  cancelRunsOf,
  replayRun,
  retryRun,
} from "./manage-runs.js";
import { type PurgeOptions, purge } from "./purge.js";
import { Readiness } from "./readiness.js";
import { type GetRunOptions, getRun, getRuns, type RunFilter, type RunList } from "./reads.js";
import { refuseInRun } from "./replay-guard.js";
import { sendEvents } from "./send-events.js";
import { leaveStorage, useStorage } from "./storage-users.js";
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
  readonly #readiness: Readiness;
  readonly #withdrawals: (() => void)[] = [];
  #keepAlive: (() => void) | undefined;

  constructor(options: ClientOptions, storage: Storage) {
    checkClientOptions(options);
    this.id = options.id;
    this.#engine = engineOf(options, storage);
    this.#worker = new Worker(this.#engine, options.concurrency ?? 100);
    this.#engine.onEndedFromOutside = (runId, reason) =>
      this.#worker.endedFromOutside(runId, reason);
    this.#readiness = new Readiness(this.#engine, () => {
      if (options.storage === undefined) this.#engine.warnOnce("memory", MEMORY_WARNING);
    });
    offerCurrentIo(currentIo);
    takePlace(this, options.reload ?? false);
    try {
      for (const job of options.jobs ?? []) this.attach(job);
    } catch (error) {
      this.#leaveProcess();
      throw error;
    }
    useStorage(storage, this);
  }

  /** Other clients may have its id and jobs from now on. */
  #leaveProcess(): void {
    for (const withdraw of this.#withdrawals) withdraw();
    leavePlace(this);
  }

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
    assertJob(job);
    assertJobIsNew(this, job.id);
    this.#engine.jobs.add(job);
    this.#withdrawals.push(
      offerInvoker(job, {
        invoke: (_, payload, options) =>
          this.invoke(job, payload as never, options as InvokeOptions),
      }),
    );
    this.#readiness.jobsChanged();
    if (this.#worker.isRunning) void this.#registerLate();
  }

  /** A job that joins a started client is heard of without waiting for the next call. */
  async #registerLate(): Promise<void> {
    try {
      await this.#readiness.ensure();
      this.#worker.claimSoon();
    } catch (error) {
      this.#engine.onTrouble(error);
    }
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
    await this.#readiness.ensure();
    await this.#engine.registry.remove(jobId);
  }

  /** Executes runs in this process until `stop`. Keeps the process alive; installs no signal handler. */
  async start(): Promise<void> {
    await this.#readiness.ensure();
    this.#keepAlive ??= this.#engine.clock.setTimer(KEEP_ALIVE_MS, () => {});
    await this.#worker.start();
  }

  /**
   * Takes no new runs, lets running tasks finish until `timeout` (default
   * 10 s), fires their signals then, gives all runs back and closes the storage.
   */
  async stop(options: { readonly timeout?: Duration } = {}): Promise<void> {
    assertOptions(options, ["timeout"], "stop");
    if (this.#readiness.isStopped) return;
    this.#readiness.stop();
    const timeoutMs =
      options.timeout === undefined
        ? DEFAULT_STOP_TIMEOUT_MS
        : durationMs(options.timeout, "timeout of stop");
    this.#leaveProcess();
    await this.#worker.stop(timeoutMs);
    this.#keepAlive?.();
    this.#engine.patience.giveUp();
    await leaveStorage(this.#engine.rawStorage, this);
  }

  /** Executes all that is due now, then resolves: for tests and for hosts driven by cron. */
  async drain(): Promise<void> {
    await this.#readiness.ensure();
    await this.#worker.drain();
  }

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
    refuseInRun("sendEvent");
    await this.#readiness.ensure();
    const sent = await sendEvents(this.#engine, events, options);
    this.#worker.claimSoon();
    return sent;
  }

  /** @throws PayloadError PAYLOAD_INVALID; RunError IDEMPOTENCY_CONFLICT; ConfigError JOB_UNKNOWN, JOB_DISABLED, OPTION_UNKNOWN */
  async invoke<J extends AnyJob | string>(
    job: J,
    ...[payload, options = {}]: InvokeArguments<J>
  ): Promise<RunHandle<JobOutput<J>>> {
    refuseInRun("invoke");
    const opening = this.#readiness.ensure();
    if (opening !== undefined) await opening;
    return { id: await invokeRun(this.#engine, this.#worker, job, payload, options) };
  }

  async getRun<Output = unknown>(
    run: RunRef<Output>,
    options?: GetRunOptions,
  ): Promise<Run<Output> | undefined> {
    await this.#readiness.ensure();
    return (await getRun(this.#engine, idOf(run), options)) as Run<Output> | undefined;
  }

  /** Newest first. */
  async getRuns(filter?: RunFilter): Promise<RunList> {
    await this.#readiness.ensure();
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
    await this.#readiness.ensure();
    return (await waitForRun(this.#engine, idOf(run), options)) as Run<Output>;
  }

  /** After it resolves, nothing more of the run is recorded. A finished run stays as it is. */
  async cancelRun(run: RunRef): Promise<CancelResult> {
    refuseInRun("cancelRun");
    await this.#readiness.ensure();
    return cancelRun(this.#engine, idOf(run));
  }

  async cancelRunsForJob(jobId: string): Promise<CancelManyResult> {
    refuseInRun("cancelRunsForJob");
    await this.#readiness.ensure();
    return cancelRunsOf(this.#engine, { jobId });
  }

  async cancelRunsForEvent(eventId: string): Promise<CancelManyResult> {
    refuseInRun("cancelRunsForEvent");
    await this.#readiness.ensure();
    return cancelRunsOf(this.#engine, { eventId });
  }

  /** Lets a run that ended badly go on: completed tasks are kept, failed ones are tried afresh. */
  async retryRun<Output = unknown>(run: RunRef<Output>): Promise<RunHandle<Output>> {
    refuseInRun("retryRun");
    await this.#readiness.ensure();
    await retryRun(this.#engine, idOf(run));
    this.#worker.claimSoon();
    return { id: idOf(run) };
  }

  /** A new run with the same payload, or with `payload`. */
  async replayRun<Output = unknown>(
    run: RunRef<Output>,
    options?: { readonly payload?: unknown },
  ): Promise<RunHandle<Output>> {
    refuseInRun("replayRun");
    assertOptions(options, ["payload"], "replayRun");
    await this.#readiness.ensure();
    const handle = await replayRun(this.#engine, idOf(run), options);
    this.#worker.claimSoon();
    return handle as RunHandle<Output>;
  }

  /** Why it is not moving, in one sentence. undefined for an unknown id. */
  async explainRun(run: RunRef): Promise<string | undefined> {
    await this.#readiness.ensure();
    return explainRun(this.#engine, idOf(run));
  }

  /** Deletes runs that ended before `olderThan` ago. Event ids and idempotency keys stay remembered for `dedupeRetention`. */
  async purge(options: PurgeOptions): Promise<{ purged: number }> {
    await this.#readiness.ensure();
    return purge(this.#engine, options);
  }

  /** Number of runs by status. */
  async stats(): Promise<{ runs: Partial<Record<RunStatus, number>> }> {
    await this.#readiness.ensure();
    return { runs: await this.#engine.rawStorage.countRuns() };
  }

  /** This process only, best effort; a job's hooks are durable. Answers a function that ends it. */
  on<E extends ClientEventName>(event: E, listener: Listener<E>): () => void {
    return this.#engine.emitter.on(event, listener);
  }
}

const MEMORY_WARNING =
  'createClient got no storage: runs are kept in memory and are gone when the process ends. Pass storage: sqlite("app.db").';

/** Timers of the worker alone may be far away. */
const KEEP_ALIVE_MS = 365 * 86_400_000;

function idOf(run: RunRef): string {
  return typeof run === "string" ? run : run.id;
}
