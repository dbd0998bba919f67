import type { Clock } from "../../core/clock.js";
import { StorageError } from "../../core/errors.js";
import {
  type ClaimRequest,
  type CommitResult,
  type CreateElement,
  type CreateResult,
  type ItemQuery,
  type PurgeQuery,
  type RunQuery,
  type RunWrite,
  SPEC_VERSION,
  type Storage,
  type StoredItem,
  type WaitingPage,
} from "../../core/storage.js";
import { commitResult } from "../../core/write-verdict.js";
import { claim } from "./claim.js";
import { commitElements } from "./commit.js";
import { Context } from "./context.js";
import { countRuns } from "./count.js";
import { createElements } from "./create.js";
import type { Driver, UserTransactions } from "./driver.js";
import { exportItems } from "./export.js";
import { storageErrorOf } from "./failure.js";
import { Hints } from "./hints.js";
import { importItems } from "./import.js";
import { isolated } from "./isolate.js";
import { listRuns } from "./list.js";
import { commitLoneRecord } from "./lone-record.js";
import { purge } from "./purge.js";
import { getRuns, listLogs, listSignals, listTasks, listWaiting } from "./read.js";
import { migrate } from "./schema.js";
import { ServerClock } from "./server-clock.js";
import { commitWith, createRunsIn } from "./transaction.js";
import { getValue, listValues, writeValue } from "./values.js";

const MIB = 2 ** 20;

export interface PostgresStorageOptions {
  /** Called once, by the first `init`. */
  open(): Driver;
  /** How users' code writes in transactions. Default: as the driver's does. */
  readonly transactions?: UserTransactions | undefined;
  readonly schema: string;
  readonly clock: Pick<Clock, "now"> | undefined;
  /** Workers tell each other what has become due. */
  readonly notify: boolean;
}

/** See the contract in core/storage.ts; this only passes each call to where it is done. */
export class PostgresStorage<Tx> implements Storage<Tx> {
  readonly name = "postgres";
  readonly specVersion = SPEC_VERSION;
  readonly capabilities = {
    limits: true,
    staleMs: 0,
    maxElementBytes: 64 * MIB,
    maxElementTasks: 100_000,
    maxValueBytes: 64 * MIB,
  };
  readonly #options: PostgresStorageOptions;
  #context: Context | undefined;
  #opening: Promise<void> | undefined;
  #isOpen = false;
  #closing: Promise<void> | undefined;

  /** Its presence is the capability. */
  readonly subscribe?: NonNullable<Storage["subscribe"]>;

  constructor(options: PostgresStorageOptions) {
    this.#options = options;
    if (options.notify) this.subscribe = (onHint) => this.#subscribe(onHint);
  }

  async init(): Promise<void> {
    if (this.#closing !== undefined) throw this.#closed();
    const { schema } = this.#options;
    this.#context ??= this.#makeContext();
    this.#opening ??= migrate(this.#context.driver, schema);
    try {
      await this.#opening;
      this.#isOpen = true;
    } catch (error) {
      this.#opening = undefined;
      throw this.#failed(error);
    }
  }

  #makeContext(): Context {
    const { schema, open, clock, notify } = this.#options;
    const driver = open();
    const hints = notify ? new Hints(driver, schema) : undefined;
    return new Context({ driver, schema, clock: new ServerClock(clock), hints });
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await this.#context?.hints?.close();
    await this.#context?.driver.close();
  }

  now(): Promise<number> {
    return this.#call(({ clock, driver }) => clock.now(driver));
  }

  createRuns(elements: readonly CreateElement[]): Promise<CreateResult[]> {
    return this.#call((context) =>
      isolated(
        elements,
        (some) => createElements(context, some),
        (reason, cause) => ({ result: "rejected", reason, cause }),
      ),
    );
  }

  claimRuns(request: ClaimRequest) {
    return this.#call((context) => claim(context, request));
  }

  commit(writes: readonly RunWrite[]): Promise<CommitResult[]> {
    return this.#call(
      async (context) =>
        (await commitLoneRecord(context, writes)) ??
        isolated(
          writes,
          (some) => commitElements(context, some),
          (reason, cause) => ({ ...commitResult("rejected"), reason, cause }),
        ),
    );
  }

  async commitWith(work: (tx: Tx) => RunWrite | Promise<RunWrite>): Promise<CommitResult> {
    const context = this.#ready();
    const within = (tx: unknown) => work(tx as Tx);
    return commitWith(context, this.#users(context), within, (error) => this.#failed(error));
  }

  createRunsIn(tx: Tx, element: CreateElement): Promise<CreateResult> {
    return this.#call((context) => createRunsIn(context, this.#users(context), tx, element));
  }

  #users({ driver }: Context): UserTransactions {
    return this.#options.transactions ?? driver;
  }

  getRuns(ids: readonly string[]) {
    return this.#call((context) => getRuns(context, ids));
  }

  listTasks(runId: string, afterSeq: number, byteBudget: number) {
    return this.#call((context) => listTasks(context, runId, afterSeq, byteBudget));
  }

  listSignals(runId: string) {
    return this.#call((context) => listSignals(context, runId));
  }

  listWaiting(topics: readonly string[], page: WaitingPage) {
    return this.#call((context) => listWaiting(context, topics, page));
  }

  listRuns(query: RunQuery) {
    return this.#call((context) => listRuns(context, query));
  }

  listLogs(runId: string, page: { after?: number; limit: number }) {
    return this.#call((context) => listLogs(context, runId, page));
  }

  countRuns() {
    return this.#call((context) => countRuns(context));
  }

  getValue(key: string) {
    return this.#call((context) => getValue(context, key));
  }

  setValue(key: string, value: string, expected?: number) {
    return this.#call((context) => writeValue(context, { key, value, ...given(expected) }));
  }

  deleteValue(key: string, expected?: number) {
    return this.#call((context) => writeValue(context, { key, value: null, ...given(expected) }));
  }

  listValues(prefix: string, page: { after?: string; limit: number }) {
    return this.#call((context) => listValues(context, prefix, page));
  }

  purge(query: PurgeQuery) {
    return this.#call((context) => purge(context, query));
  }

  exportRuns(query: ItemQuery) {
    return this.#call((context) => exportItems(context, query));
  }

  importRuns(items: readonly StoredItem[]) {
    return this.#call((context) => importItems(context, items));
  }

  #subscribe(onHint: (dueAt?: number) => void): Promise<() => Promise<void>> {
    return this.#call(async (context) => {
      const heard = (dueAt?: number) => {
        if (dueAt !== undefined) context.claimsAtOnce.heardNews();
        onHint(dueAt);
      };
      return (await context.hints?.subscribe(heard)) ?? (async () => {});
    });
  }

  #ready(): Context {
    const context = this.#context;
    if (context === undefined || !this.#isOpen || this.#closing !== undefined) throw this.#closed();
    return context;
  }

  async #call<T>(work: (context: Context) => Promise<T>): Promise<T> {
    const context = this.#ready();
    try {
      return await work(context);
    } catch (error) {
      // A pool that ends lets go of what waited for a connection.
      throw this.#closing === undefined ? this.#failed(error) : this.#closed();
    }
  }

  #failed(error: unknown): StorageError {
    const driver = this.#context?.driver.name ?? "";
    return storageErrorOf(error, { schema: this.#options.schema, driver });
  }

  #closed(): StorageError {
    const state = this.#closing === undefined ? "is not open yet: call init() first" : "was closed";
    return new StorageError(
      "STORAGE_CLOSED",
      `The PostgreSQL storage with the schema "${this.#options.schema}" ${state}.`,
      { details: { schema: this.#options.schema } },
    );
  }
}

function given(expected: number | undefined) {
  return expected === undefined ? undefined : { expected };
}
