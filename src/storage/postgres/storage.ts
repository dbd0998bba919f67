import type { Clock } from "../../core/clock.js";
import { StorageError } from "../../core/errors.js";
import {
  type ClaimRequest,
  type CommitResult,
  type CreateElement,
  type CreateResult,
  type PurgeQuery,
  type RunQuery,
  type RunWrite,
  SPEC_VERSION,
  type Storage,
  type WaitingPage,
} from "../../core/storage.js";
import { claim } from "./claim.js";
import { commitElements } from "./commit.js";
import { Context } from "./context.js";
import { createElements } from "./create.js";
import type { Driver } from "./driver.js";
import { isolated } from "./isolate.js";
import { countRuns, listRuns } from "./list.js";
import { purge } from "./purge.js";
import { getRuns, listLogs, listSignals, listTasks, listWaiting } from "./read.js";
import { migrate } from "./schema.js";
import { getValue, listValues, writeValue } from "./values.js";

const MIB = 2 ** 20;

/** See the contract in core/storage.ts; this only passes each call to where it is done. */
export class PostgresStorage implements Storage {
  readonly name = "postgres";
  readonly specVersion = SPEC_VERSION;
  readonly capabilities = {
    limits: true,
    staleMs: 0,
    maxElementBytes: 64 * MIB,
    maxElementTasks: 100_000,
    maxValueBytes: 64 * MIB,
  };
  readonly #driver: Driver;
  readonly #schema: string;
  readonly #context: Context;
  #opening: Promise<void> | undefined;
  #isOpen = false;
  #closing: Promise<void> | undefined;

  constructor(driver: Driver, schema: string, clock: Pick<Clock, "now"> | undefined) {
    this.#driver = driver;
    this.#schema = schema;
    this.#context = new Context(driver, schema, clock);
  }

  async init(): Promise<void> {
    if (this.#closing !== undefined) throw this.#closed();
    this.#opening ??= migrate(this.#driver, this.#schema);
    try {
      await this.#opening;
      this.#isOpen = true;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#driver.close();
    return this.#closing;
  }

  async now(): Promise<number> {
    return this.#ready().now();
  }

  async createRuns(elements: readonly CreateElement[]): Promise<CreateResult[]> {
    const context = this.#ready();
    return isolated(
      elements,
      (some) => createElements(context, some),
      (reason, cause) => ({ result: "rejected", reason, cause }),
    );
  }

  async claimRuns(request: ClaimRequest) {
    return claim(this.#ready(), request);
  }

  async commit(writes: readonly RunWrite[]): Promise<CommitResult[]> {
    const context = this.#ready();
    return isolated(
      writes,
      (some) => commitElements(context, some),
      (reason, cause) => ({
        result: "rejected",
        reason,
        cause,
        epoch: 0,
        status: "PENDING",
        inbox: 0,
        leaseUntil: null,
      }),
    );
  }

  async getRuns(ids: readonly string[]) {
    return getRuns(this.#ready(), ids);
  }

  async listTasks(runId: string, afterSeq: number, byteBudget: number) {
    return listTasks(this.#ready(), runId, afterSeq, byteBudget);
  }

  async listSignals(runId: string) {
    return listSignals(this.#ready(), runId);
  }

  async listWaiting(topics: readonly string[], page: WaitingPage) {
    return listWaiting(this.#ready(), topics, page);
  }

  async listRuns(query: RunQuery) {
    return listRuns(this.#ready(), query);
  }

  async listLogs(runId: string, page: { after?: number; limit: number }) {
    return listLogs(this.#ready(), runId, page);
  }

  async countRuns() {
    return countRuns(this.#ready());
  }

  async getValue(key: string) {
    return getValue(this.#ready(), key);
  }

  async setValue(key: string, value: string, expected?: number) {
    return writeValue(this.#ready(), { key, value, ...given(expected) });
  }

  async deleteValue(key: string, expected?: number) {
    return writeValue(this.#ready(), { key, value: null, ...given(expected) });
  }

  async listValues(prefix: string, page: { after?: string; limit: number }) {
    return listValues(this.#ready(), prefix, page);
  }

  async purge(query: PurgeQuery) {
    return purge(this.#ready(), query);
  }

  #ready(): Context {
    if (!this.#isOpen || this.#closing !== undefined) throw this.#closed();
    return this.#context;
  }

  #closed(): StorageError {
    const state = this.#closing === undefined ? "is not open yet: call init() first" : "was closed";
    return new StorageError(
      "STORAGE_CLOSED",
      `The PostgreSQL storage with the schema "${this.#schema}" ${state}.`,
      { details: { schema: this.#schema } },
    );
  }
}

function given(expected: number | undefined) {
  return expected === undefined ? undefined : { expected };
}
