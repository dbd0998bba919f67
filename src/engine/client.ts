import type { Duration } from "../core/duration.js";
import { PayloadError } from "../core/errors.js";
import type {
  EventName,
  EventView,
  SendEvent,
  SendEventOptions,
  SentEvent,
} from "../core/event.js";
import type { Integrations } from "../core/integration.js";
import {
  type AnyJob,
  type ConcurrencyLimit,
  defineJob,
  type InvokeArguments,
  type Job,
  type JobOptions,
  type JobOutput,
} from "../core/job.js";
import { assertText } from "../core/key.js";
import { assertInteger, assertOptions } from "../core/options.js";
import type { Run, RunHandle } from "../core/run.js";
import type { RunStatus } from "../core/run-status.js";
import type { Storage } from "../core/storage.js";
import type { CompleteTokenResult, Token, TokenOptions } from "../core/token.js";
import { ClientLife, type PublicClient } from "./client-life.js";
import { type ClientOptions, checkClientOptions } from "./client-options.js";
import { invokeRun } from "./direct-start.js";
import { DynamicSchedule } from "./dynamic-schedules.js";
import type { ClientEventName, Listener } from "./emitter.js";
import { cancelEvent, getEvent } from "./event-admin.js";
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
import { type GetRunOptions, getRun, getRuns, type RunFilter, type RunList } from "./reads.js";
import { refuseInRun } from "./replay-guard.js";
import { getRunStatuses, type RunStatuses } from "./run-statuses.js";
import { getSchedules, pauseSchedule, resumeSchedule, type ScheduleView } from "./schedules.js";
import { sendEvents } from "./send-events.js";
import { completeToken, createToken } from "./tokens.js";
import { type WaitForRunOptions, waitForRun } from "./wait-for-run.js";

/** Names a run by its id or its handle. */
export type RunRef<Output = unknown> = string | RunHandle<Output>;

/** Sends events, starts and manages runs and, once started, executes them. Made by `createClient`. */
export class Client {
  readonly id: string | undefined;
  readonly #life: ClientLife;

  constructor(options: ClientOptions, storage: Storage) {
    checkClientOptions(options);
    this.id = options.id;
    this.#life = new ClientLife(this as PublicClient, options, storage);
    this.#life.enter(options);
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
    this.#life.attach(job);
  }

  /** True while a job of this id would collide. */
  hasJob(jobId: string): boolean {
    return this.#life.engine.jobs.get(jobId) !== undefined;
  }

  /** A limit on executions at a time that several jobs share. */
  defineConcurrencyLimit(options: ConcurrencyLimit): ConcurrencyLimit {
    assertOptions(options, ["id", "limit"], "defineConcurrencyLimit");
    assertText(options.id, "id of defineConcurrencyLimit");
    assertInteger(options.limit, `limit of "${options.id}"`, { min: 1 });
    return Object.freeze({ ...options });
  }

  /** A trigger whose schedules are registered while the app runs. @throws ConfigError JOB_ID_INVALID */
  defineDynamicSchedule(options: { readonly id: string }): DynamicSchedule {
    return new DynamicSchedule(this.#life, options);
  }

  /** Forgets the registration of a job that no process has any more: events start no runs of it. */
  async removeJob(jobId: string): Promise<void> {
    await this.#life.ready();
    await this.#life.engine.registry.remove(jobId);
  }

  /** Executes runs in this process until `stop`. Keeps the process alive; installs no signal handler. */
  start(): Promise<void> {
    return this.#life.start();
  }

  /**
   * Takes no new runs, lets running tasks finish until `timeout` (default
   * 10 s), fires their signals then, gives all runs back and closes the storage.
   */
  stop(options: { readonly timeout?: Duration } = {}): Promise<void> {
    return this.#life.stop(options);
  }

  /** Executes all that is due now, then resolves: for tests and for hosts driven by cron. */
  drain(): Promise<void> {
    return this.#life.drain();
  }

  async sendEvent<const N extends EventName>(
    event: SendEvent<N>,
    options?: SendEventOptions,
  ): Promise<SentEvent> {
    const [sent] = await this.sendEvents([event], options);
    if (sent === undefined) throw new PayloadError("EVENT_INVALID", "sendEvent got no event.");
    return sent;
  }

  /** All or nothing. */
  async sendEvents(
    events: readonly SendEvent[],
    options?: SendEventOptions,
  ): Promise<readonly SentEvent[]> {
    refuseInRun("sendEvent");
    await this.#life.ready();
    const sent = await sendEvents(this.#life.engine, events, options);
    this.#life.worker.claimSoon();
    return sent;
  }

  /** undefined for an unknown id. */
  async getEvent(id: string): Promise<EventView | undefined> {
    await this.#life.ready();
    return getEvent(this.#life.engine, id);
  }

  /** True if nobody will hear it; false if it was delivered before, or never was. */
  async cancelEvent(id: string): Promise<boolean> {
    refuseInRun("cancelEvent");
    await this.#life.ready();
    return cancelEvent(this.#life.engine, id);
  }

  /** All schedules, with their next ticks (default 1, at most 1000). */
  async getSchedules(options: { readonly ticks?: number } = {}): Promise<ScheduleView[]> {
    await this.#life.ready();
    return getSchedules(this.#life.engine, options);
  }

  /** No ticks until `resumeSchedule`. @throws RunError SCHEDULE_NOT_FOUND */
  async pauseSchedule(jobId: string): Promise<void> {
    refuseInRun("pauseSchedule");
    await this.#life.ready();
    await pauseSchedule(this.#life.engine, jobId);
  }

  /** Goes on with the next tick from now; those that came meanwhile are gone. @throws RunError SCHEDULE_NOT_FOUND */
  async resumeSchedule(jobId: string): Promise<void> {
    refuseInRun("resumeSchedule");
    await this.#life.ready();
    await resumeSchedule(this.#life.engine, jobId);
    this.#life.worker.claimSoon();
  }

  /** A token that a run may wait for; `io.createToken` makes one inside a run. */
  async createToken<Data = unknown>(options: TokenOptions = {}): Promise<Token<Data>> {
    refuseInRun("createToken");
    await this.#life.ready();
    return createToken(this.#life.engine, options) as Promise<Token<Data>>;
  }

  /** The first one counts, and whoever waits for the token goes on. @throws RunError TOKEN_NOT_FOUND */
  async completeToken<Data>(
    token: Token<Data> | string,
    data?: Data,
  ): Promise<CompleteTokenResult> {
    refuseInRun("completeToken");
    await this.#life.ready();
    const result = await completeToken(this.#life.engine, token, data);
    this.#life.worker.claimSoon();
    return result;
  }

  /** @throws PayloadError PAYLOAD_INVALID; RunError IDEMPOTENCY_CONFLICT; ConfigError JOB_UNKNOWN, JOB_DISABLED, OPTION_UNKNOWN */
  async invoke<J extends AnyJob | string>(
    job: J,
    ...[payload, options = {}]: InvokeArguments<J>
  ): Promise<RunHandle<JobOutput<J>>> {
    refuseInRun("invoke");
    const opening = this.#life.ready();
    if (opening !== undefined) await opening;
    return { id: await invokeRun(this.#life.engine, this.#life.worker, job, payload, options) };
  }

  async getRun<Output = unknown>(
    run: RunRef<Output>,
    options?: GetRunOptions,
  ): Promise<Run<Output> | undefined> {
    await this.#life.ready();
    return (await getRun(this.#life.engine, idOf(run), options)) as Run<Output> | undefined;
  }

  /** What the run has told of its progress with `io.createStatus`. undefined for an unknown id. */
  async getRunStatuses(run: RunRef): Promise<RunStatuses | undefined> {
    await this.#life.ready();
    return getRunStatuses(this.#life.engine, idOf(run));
  }

  /** Newest first. */
  async getRuns(filter?: RunFilter): Promise<RunList> {
    await this.#life.ready();
    return getRuns(this.#life.engine, filter);
  }

  /**
   * Resolves with the run in its final state, whatever that is.
   * @throws RunError RUN_NOT_FOUND, RUN_WAIT_TIMEOUT; the error of a blocked run
   */
  async waitForRun<Output = unknown>(
    run: RunRef<Output>,
    options?: WaitForRunOptions,
  ): Promise<Run<Output>> {
    await this.#life.ready();
    return (await waitForRun(this.#life.engine, idOf(run), options)) as Run<Output>;
  }

  /** After it resolves, nothing more of the run is recorded. A finished run stays as it is. */
  async cancelRun(run: RunRef): Promise<CancelResult> {
    refuseInRun("cancelRun");
    await this.#life.ready();
    return cancelRun(this.#life.engine, idOf(run));
  }

  async cancelRunsForJob(jobId: string): Promise<CancelManyResult> {
    refuseInRun("cancelRunsForJob");
    await this.#life.ready();
    return cancelRunsOf(this.#life.engine, { jobId });
  }

  async cancelRunsForEvent(eventId: string): Promise<CancelManyResult> {
    refuseInRun("cancelRunsForEvent");
    await this.#life.ready();
    return cancelRunsOf(this.#life.engine, { eventId });
  }

  /** Lets a run that ended badly go on: completed tasks are kept, failed ones are tried afresh. */
  async retryRun<Output = unknown>(run: RunRef<Output>): Promise<RunHandle<Output>> {
    refuseInRun("retryRun");
    await this.#life.ready();
    await retryRun(this.#life.engine, idOf(run));
    this.#life.worker.claimSoon();
    return { id: idOf(run) };
  }

  /** A new run with the same payload, or with `payload`. */
  async replayRun<Output = unknown>(
    run: RunRef<Output>,
    options?: { readonly payload?: unknown },
  ): Promise<RunHandle<Output>> {
    refuseInRun("replayRun");
    assertOptions(options, ["payload"], "replayRun");
    await this.#life.ready();
    const handle = await replayRun(this.#life.engine, idOf(run), options);
    this.#life.worker.claimSoon();
    return handle as RunHandle<Output>;
  }

  /** Why it is not moving, in one sentence. undefined for an unknown id. */
  async explainRun(run: RunRef): Promise<string | undefined> {
    await this.#life.ready();
    return explainRun(this.#life.engine, idOf(run));
  }

  /** Deletes runs that ended before `olderThan` ago. Event ids and idempotency keys stay remembered for `dedupeRetention`. */
  async purge(options: PurgeOptions): Promise<{ purged: number }> {
    await this.#life.ready();
    return purge(this.#life.engine, options);
  }

  /** Number of runs by status. */
  async stats(): Promise<{ runs: Partial<Record<RunStatus, number>> }> {
    await this.#life.ready();
    return { runs: await this.#life.engine.rawStorage.countRuns() };
  }

  /** This process only, best effort; a job's hooks are durable. Answers a function that ends it. */
  on<E extends ClientEventName>(event: E, listener: Listener<E>): () => void {
    return this.#life.engine.emitter.on(event, listener);
  }
}

function idOf(run: RunRef): string {
  return typeof run === "string" ? run : run.id;
}
