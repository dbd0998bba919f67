import { type Duration, durationMs } from "../core/duration.js";
import type { AnyJob } from "../core/job.js";
import { offerCurrentIo, offerInvoker } from "../core/job-invoke.js";
import { assertJob } from "../core/job-options.js";
import { assertOptions } from "../core/options.js";
import type { Storage } from "../core/storage.js";
import { assertLimitIsKept } from "./admission.js";
import { currentIo } from "./bound-io.js";
import type { ClientOptions } from "./client-options.js";
import { assertJobIsNew, leavePlace, takePlace } from "./client-places.js";
import type { Engine } from "./engine.js";
import { engineOf } from "./engine-of.js";
import { Readiness } from "./readiness.js";
import { leaveStorage, useStorage } from "./storage-users.js";
import { Worker } from "./worker.js";

const DEFAULT_STOP_TIMEOUT_MS = 10_000;

/** Timers of the worker alone may be far away. */
const KEEP_ALIVE_MS = 365 * 86_400_000;

const MEMORY_WARNING =
  'createClient got no storage: runs are kept in memory and are gone when the process ends. Pass storage: sqlite("app.db").';

/** The client as other clients of this process, and `job.invoke`, see it. */
export interface PublicClient {
  readonly id: string | undefined;
  hasJob(jobId: string): boolean;
  stop(): Promise<void>;
  invoke(job: AnyJob, payload: unknown, options: unknown): Promise<unknown>;
}

/** Beginning and end of a client: its parts, its jobs, its place in the process. */
export class ClientLife {
  readonly engine: Engine;
  readonly worker: Worker;
  readonly #client: PublicClient;
  readonly #readiness: Readiness;
  readonly #withdrawals: (() => void)[] = [];
  #keepAlive: (() => void) | undefined;

  constructor(client: PublicClient, options: ClientOptions, storage: Storage) {
    this.#client = client;
    this.engine = engineOf(options, storage);
    this.worker = new Worker(this.engine, options.concurrency ?? 100);
    this.engine.onEndedFromOutside = (runId, reason) => this.worker.endedFromOutside(runId, reason);
    this.engine.onRunsMade = () => this.worker.claimSoon();
    this.#readiness = new Readiness(this.engine, () => {
      if (options.storage === undefined) this.engine.warnOnce("memory", MEMORY_WARNING);
    });
  }

  /** Throws what is wrong with the jobs, and has left no trace in the process then. */
  enter({ jobs = [], reload = false }: ClientOptions): void {
    offerCurrentIo(currentIo);
    takePlace(this.#client, reload);
    try {
      for (const job of jobs) this.attach(job);
    } catch (error) {
      this.#leaveProcess();
      throw error;
    }
    useStorage(this.engine.rawStorage, this.#client);
  }

  /** Other clients may have its id and jobs from now on. */
  #leaveProcess(): void {
    for (const withdraw of this.#withdrawals) withdraw();
    leavePlace(this.#client);
  }

  /** Resolves when the storage is open and all jobs are known. undefined: nothing to wait for. */
  ready(): Promise<void> | undefined {
    return this.#readiness.ensure();
  }

  attach(job: AnyJob): void {
    assertJob(job);
    assertLimitIsKept(job, this.engine.rawStorage);
    assertJobIsNew(this.#client, job.id);
    this.engine.jobs.add(job);
    this.#withdrawals.push(
      offerInvoker(job, {
        invoke: (_, payload, options) => this.#client.invoke(job, payload, options),
      }),
    );
    this.#readiness.jobsChanged();
    if (this.worker.isRunning) void this.#registerLate();
  }

  /** A job that joins a started client is heard of without waiting for the next call. */
  async #registerLate(): Promise<void> {
    try {
      await this.ready();
      this.worker.claimSoon();
    } catch (error) {
      this.engine.onTrouble(error);
    }
  }

  claimSoon(): void {
    this.worker.claimSoon();
  }

  async start(): Promise<void> {
    await this.ready();
    this.#keepAlive ??= this.engine.clock.setTimer(KEEP_ALIVE_MS, () => {});
    await this.worker.start();
  }

  async stop(options: { readonly timeout?: Duration }): Promise<void> {
    assertOptions(options, ["timeout"], "stop");
    if (this.#readiness.isStopped) return;
    this.#readiness.stop();
    const timeoutMs =
      options.timeout === undefined
        ? DEFAULT_STOP_TIMEOUT_MS
        : durationMs(options.timeout, "timeout of stop");
    this.#leaveProcess();
    await this.worker.stop(timeoutMs);
    this.#keepAlive?.();
    this.engine.patience.giveUp();
    await leaveStorage(this.engine.rawStorage, this.#client);
  }

  async drain(): Promise<void> {
    await this.ready();
    await this.worker.drain();
  }
}
