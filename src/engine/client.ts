import type { AuthResolver } from "../core/auth.js";
import type { Duration } from "../core/duration.js";
import { PayloadError } from "../core/errors.js";
import type {
  EventName,
  EventView,
  SendEvent,
  SendEventOptions,
  SentEvent,
} from "../core/event.js";
import type { Integration, Integrations } from "../core/integration.js";
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
import { assertGivenOptions, assertInteger, assertOptions } from "../core/options.js";
import type { RunHandle } from "../core/run.js";
import type { Storage } from "../core/storage.js";
import type { EnvStore } from "../core/store.js";
import type { CompleteTokenResult, Token, TokenOptions } from "../core/token.js";
import { integrationId } from "./auth-resolvers.js";
import type { ClientLife } from "./client-life.js";
import { type ClientOptions, checkClientOptions } from "./client-options.js";
import { ClientRuns, lifeOf } from "./client-runs.js";
import { connectionReady } from "./connections.js";
import { invokeRun } from "./direct-start.js";
import { DynamicSchedule } from "./dynamic-schedules.js";
import type { ClientEventName, Listener } from "./emitter.js";
import { ClientEnvStore } from "./env-store.js";
import { cancelEvent, getEvent } from "./event-admin.js";
import { fireSchedule } from "./fire-schedule.js";
import { type PurgeOptions, purge } from "./purge.js";
import { removeJob } from "./remove-job.js";
import { refuseInRun } from "./replay-guard.js";
import { getSchedules, pauseSchedule, resumeSchedule, type ScheduleView } from "./schedules.js";
import { sendEvents } from "./send-events.js";
import { completeToken, createToken } from "./tokens.js";
import { TransactionClient } from "./transaction-client.js";

/** Sends events, starts and manages runs and, once started, executes them. Made by `createClient`. */
export class Client<Tx = unknown> extends ClientRuns {
  readonly id: string | undefined;
  /** Key-value data that `io.store.env` shares. */
  readonly store: { readonly env: EnvStore };
  readonly #life: ClientLife;

  constructor(options: ClientOptions<Tx>, storage: Storage<Tx>) {
    checkClientOptions(options);
    super(options, storage);
    this.id = options.id;
    this.#life = lifeOf(this);
    this.store = { env: new ClientEnvStore(this.#life) };
    this.#life.enter(options);
  }

  /** `defineJob` and `attach` in one. */
  defineJob<Input, Payload, Output, I extends Integrations = Record<never, never>>(
    options: JobOptions<Input, Payload, Output, I, Tx>,
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
    assertGivenOptions(options, ["id", "limit"], "defineConcurrencyLimit");
    assertText(options.id, "id of defineConcurrencyLimit");
    assertInteger(options.limit, `limit of "${options.id}"`, { min: 1 });
    return Object.freeze({ ...options });
  }

  /** A trigger whose schedules are registered while the app runs. @throws ConfigError JOB_ID_INVALID */
  defineDynamicSchedule(options: { readonly id: string }): DynamicSchedule {
    return new DynamicSchedule(this.#life, options);
  }

  /**
   * How runs of this client get at the credentials of an account for an
   * integration. A resolver that throws or gives nothing ends the run as
   * UNRESOLVED_AUTH, one that gives `notConnected` lets it wait for `connectionReady`.
   *
   * @example
   * client.defineAuthResolver(slack, async (context) => {
   *   const token = await db.slackToken(context.account?.id);
   *   return token === undefined ? notConnected : { type: "oauth2", accessToken: token };
   * });
   * @throws ConfigError OPTION_INVALID, AUTH_RESOLVER_DUPLICATE
   */
  defineAuthResolver(integration: Integration | string, resolver: AuthResolver): void {
    this.#life.engine.auth.define(integration, resolver);
  }

  /**
   * Lets the runs go on that wait for this connection: those of the account, or those without one.
   * They are woken a page at a time, so a process that dies meanwhile leaves some, which look by
   * themselves within five minutes. Called again, it wakes just those; called in a task of a job, it
   * is repeated after a crash. `woken` tells how many this call woke.
   */
  async connectionReady(
    integration: Integration | string,
    options: { readonly accountId?: string } = {},
  ): Promise<{ readonly woken: number }> {
    refuseInRun("connectionReady");
    assertOptions(options, ["accountId"], "connectionReady");
    const id = integrationId(integration, "connectionReady");
    const { accountId } = options;
    if (accountId !== undefined) assertText(accountId, "accountId of connectionReady");
    await this.#life.ready();
    const woken = await connectionReady(this.#life.engine, id, accountId);
    this.#life.worker.claimSoon();
    return { woken };
  }

  /** Forgets a job that no process has any more: no event and no tick starts runs of it. */
  async removeJob(jobId: string): Promise<void> {
    await this.#life.ready();
    await removeJob(this.#life.engine, jobId);
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

  /**
   * No ticks until `resumeSchedule`.
   * @param id the job's id, or the `id` by which a dynamic schedule lists one of its own
   * @throws RunError SCHEDULE_NOT_FOUND
   */
  async pauseSchedule(id: string): Promise<void> {
    refuseInRun("pauseSchedule");
    await this.#life.ready();
    await pauseSchedule(this.#life.engine, id);
  }

  /** Goes on with the next tick from now; those that came meanwhile are gone. @throws RunError SCHEDULE_NOT_FOUND */
  async resumeSchedule(id: string): Promise<void> {
    refuseInRun("resumeSchedule");
    await this.#life.ready();
    await resumeSchedule(this.#life.engine, id);
    this.#life.worker.claimSoon();
  }

  /**
   * Starts the runs of a schedule at once, as a tick of this moment would: `ts` is now, `lastTimestamp`
   * the last tick. Its ticks stay as they are. What a person asks for is started whether or not the
   * schedule is paused or an earlier run is open (`overlap`), and without `jitter`.
   * @param id the job's id, or the `id` by which a dynamic schedule lists one of its own
   * @example
   * const { runIds } = await client.fireSchedule("nightly-report");
   * @throws RunError SCHEDULE_NOT_FOUND; ConfigError JOB_DISABLED. Of a dynamic schedule, disabled jobs are left out.
   */
  async fireSchedule(id: string): Promise<{ readonly runIds: readonly string[] }> {
    refuseInRun("fireSchedule");
    await this.#life.ready();
    const runIds = await fireSchedule(this.#life.engine, id);
    this.#life.worker.claimSoon();
    return { runIds };
  }

  /** A token that a run may wait for; `io.createToken` makes one inside a run. */
  async createToken<Data = unknown>(options: TokenOptions = {}): Promise<Token<Data>> {
    refuseInRun("createToken");
    await this.#life.ready();
    return createToken(this.#life.engine, options) as Promise<Token<Data>>;
  }

  /**
   * The first one counts, and whoever waits for the token goes on. Of a `URL` the
   * signature is checked: pass that of a request which came to `token.url`.
   * @throws RunError TOKEN_NOT_FOUND, TOKEN_URL_INVALID
   */
  async completeToken<Data>(
    token: Token<Data> | string | URL,
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

  /**
   * Sends and invokes as part of a transaction of yours: they are there when it commits, and never if it rolls back. On
   * PostgreSQL any transaction of the client that the storage was given; on SQLite the third argument of a task's
   * callback with `transaction: true`. Workers find the runs when they next look.
   *
   * @example
   * await db.transaction(async (tx) => {
   *   await tx.insert(orders).values(order);
   *   await client.withTransaction(tx).sendEvent({ name: "order.created", payload: order });
   * });
   * @throws ConfigError TRANSACTION_UNSUPPORTED
   */
  withTransaction(tx: Tx): TransactionClient {
    refuseInRun("withTransaction");
    return new TransactionClient(this.#life, tx);
  }

  /**
   * Deletes runs, events and tokens that ended before `olderThan` ago. Those events and tokens that
   * an open wait was told of stay a week longer, since its run's worker may be down; a wait that
   * begins later finds what is still there. Ids and idempotency keys are remembered for `dedupeRetention`.
   */
  async purge(options: PurgeOptions): Promise<{ purged: number }> {
    await this.#life.ready();
    return purge(this.#life.engine, options);
  }

  /** This process only, best effort; a job's hooks are durable. Answers a function that ends it. */
  on<E extends ClientEventName>(event: E, listener: Listener<E>): () => void {
    return this.#life.engine.emitter.on(event, listener);
  }
}
