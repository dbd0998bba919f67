import { ConfigError } from "../core/errors.js";
import { assertJobId } from "../core/job-options.js";
import { assertText } from "../core/key.js";
import { assertOptions, describe } from "../core/options.js";
import type { Run, RunHandle } from "../core/run.js";
import type { RunStatus } from "../core/run-status.js";
import type { Storage } from "../core/storage.js";
import { ClientLife, type PublicClient } from "./client-life.js";
import type { ClientOptions } from "./client-options.js";
import { explainRun } from "./explain.js";
import {
  type CancelManyResult,
  type CancelResult,
  cancelRun,
  cancelRunsOf,
  replayRun,
  retryRun,
} from "./manage-runs.js";
import { type GetRunOptions, getRun, getRuns, type RunFilter, type RunList } from "./reads.js";
import { refuseInRun } from "./replay-guard.js";
import { getRunStatuses, type RunStatuses } from "./run-statuses.js";
import { type WaitForRunOptions, waitForRun } from "./wait-for-run.js";

/** Names a run by its id or its handle. */
export type RunRef<Output = unknown> = string | RunHandle<Output>;

const lives = new WeakMap<ClientRuns, ClientLife>();

/** For the rest of the client; nobody else gets at it. */
export function lifeOf(client: ClientRuns): ClientLife {
  const life = lives.get(client);
  if (life === undefined) throw new TypeError("Not a client.");
  return life;
}

/** The part of a client that reads and manages runs. */
export class ClientRuns {
  readonly #life: ClientLife;

  constructor(options: ClientOptions, storage: Storage) {
    this.#life = new ClientLife(this as unknown as PublicClient, options, storage);
    lives.set(this, this.#life);
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
    // What is undefined would be no filter at all, and every run of the storage would be cancelled.
    assertJobId(jobId);
    await this.#life.ready();
    return cancelRunsOf(this.#life.engine, { jobId });
  }

  async cancelRunsForEvent(eventId: string): Promise<CancelManyResult> {
    refuseInRun("cancelRunsForEvent");
    assertText(eventId, "eventId of cancelRunsForEvent");
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

  /** Number of runs by status. */
  async stats(): Promise<{ runs: Partial<Record<RunStatus, number>> }> {
    await this.#life.ready();
    return { runs: await this.#life.engine.rawStorage.countRuns() };
  }
}

function idOf(run: RunRef): string {
  const id: unknown = typeof run === "string" ? run : run?.id;
  if (typeof id === "string") return id;
  throw new ConfigError(
    "OPTION_INVALID",
    `A run is named by its id or its handle, got ${describe(run)}. Pass what invoke gave, or an id of getRuns or sendEvent.`,
  );
}
