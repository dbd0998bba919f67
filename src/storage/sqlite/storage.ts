import type { Clock } from "../../core/clock.js";
import { StorageError } from "../../core/errors.js";
import {
  type ClaimRequest,
  type ClaimResult,
  type CommitResult,
  type CreateElement,
  type CreateResult,
  type ItemPage,
  type ItemQuery,
  type PurgeQuery,
  type RunPage,
  type RunQuery,
  type RunRecord,
  type RunWrite,
  type Signal,
  SPEC_VERSION,
  type Storage,
  type StorageEnvironment,
  type StoredItem,
  type StoredLogLine,
  type StoredValue,
  type TaskPage,
  type ValueResult,
  type WaitingPage,
  type WaitingTask,
} from "../../core/storage.js";
import { ElementBatch, type ElementWork, SingleBatch } from "./batches.js";
import { countRuns } from "./count.js";
import type { Durability } from "./database.js";
import { exportItems } from "./export.js";
import { readonlyError, storageErrorOf } from "./failure.js";
import { DriverFinder, type DriverSource } from "./load-driver.js";
import { openDatabase, openReadonly, whileBusy } from "./open.js";
import { Session } from "./session.js";
import { listWaiting } from "./waiting.js";

export interface SqliteSettings {
  readonly path: string;
  readonly driver: DriverSource | undefined;
  readonly durability: Durability;
  readonly readonly: boolean;
  readonly clock: Clock | undefined;
}

const MIB = 2 ** 20;

/** See the contract in core/storage.ts; this only passes each call to where it is done. */
export class SqliteStorage<Tx> implements Storage<Tx> {
  readonly name = "sqlite";
  readonly specVersion = SPEC_VERSION;
  readonly capabilities = {
    limits: true,
    staleMs: 0,
    maxElementBytes: 256 * MIB,
    maxElementTasks: 100_000,
    maxValueBytes: 64 * MIB,
    synchronousTransactions: true,
  };
  readonly #settings: SqliteSettings;
  #opening: Promise<void> | undefined;
  #session: Session | undefined;
  #closing: Promise<void> | undefined;

  constructor(settings: SqliteSettings) {
    this.#settings = settings;
  }

  async init(environment: StorageEnvironment): Promise<void> {
    if (this.#closing !== undefined) throw this.#closed();
    this.#opening ??= this.#open(environment.clock);
    try {
      await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  now(): Promise<number> {
    return this.#read(({ clock }) => clock.now());
  }

  createRuns(elements: readonly CreateElement[]): Promise<CreateResult[]> {
    return this.#elements(elements, ({ creator }) => creator);
  }

  claimRuns(request: ClaimRequest): Promise<ClaimResult> {
    return this.#single(
      ({ claimer }) => claimer.claim(request),
      ({ claimer }) => claimer.whenIdle(request),
    );
  }

  commit(writes: readonly RunWrite[]): Promise<CommitResult[]> {
    return this.#elements(writes, ({ committer }) => committer);
  }

  commitWith(work: (tx: Tx) => RunWrite | Promise<RunWrite>): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      const session = this.#writable();
      const within = (handle: object) => work(handle as Tx);
      session.queue.add(session.users.batch(within, { resolve, reject }));
    });
  }

  createRunsIn(tx: Tx, element: CreateElement): CreateResult {
    return this.#writable().users.createRuns(tx, element);
  }

  getRuns(ids: readonly string[]): Promise<(RunRecord | undefined)[]> {
    return this.#read(({ reader }) => ids.map((id) => reader.run(id)));
  }

  listTasks(runId: string, afterSeq: number, byteBudget: number): Promise<TaskPage> {
    return this.#read(({ reader }) => {
      const rk = reader.rowKey(runId);
      return rk === undefined
        ? { tasks: [], complete: true }
        : reader.tasks(rk, afterSeq, byteBudget);
    });
  }

  listSignals(runId: string): Promise<Signal[]> {
    return this.#read(({ reader }) => {
      const rk = reader.rowKey(runId);
      return rk === undefined ? [] : reader.signals(rk);
    });
  }

  listWaiting(topics: readonly string[], page: WaitingPage): Promise<WaitingTask[]> {
    return this.#read(({ database }) => listWaiting(database, topics, page));
  }

  listRuns(query: RunQuery): Promise<RunPage> {
    return this.#read(({ lister, clock }) => lister.list(query, clock.now()));
  }

  listLogs(runId: string, page: { after?: number; limit: number }): Promise<StoredLogLine[]> {
    return this.#read(({ reader }) => {
      const rk = reader.rowKey(runId);
      return rk === undefined ? [] : reader.logs(rk, page);
    });
  }

  countRuns(): ReturnType<Storage["countRuns"]> {
    return this.#read(({ database, clock }) => countRuns(database, clock.now()));
  }

  getValue(key: string): Promise<StoredValue | undefined> {
    return this.#read(({ values }) => values.get(key));
  }

  setValue(key: string, value: string, expected?: number): Promise<ValueResult> {
    return this.#single(({ values }) =>
      values.write({ key, value, ...(expected === undefined ? {} : { expected }) }),
    );
  }

  deleteValue(key: string, expected?: number): Promise<ValueResult> {
    return this.#single(({ values }) =>
      values.write({ key, value: null, ...(expected === undefined ? {} : { expected }) }),
    );
  }

  listValues(
    prefix: string,
    page: { after?: string; limit: number },
  ): Promise<(StoredValue & { key: string })[]> {
    return this.#read(({ values }) => values.list(prefix, page));
  }

  purge(query: PurgeQuery): Promise<{ purged: number }> {
    return this.#single(({ purger }) => ({ purged: purger.purge(query) }));
  }

  exportRuns(query: ItemQuery): Promise<ItemPage> {
    return this.#read(({ database }) => exportItems(database, query));
  }

  importRuns(items: readonly StoredItem[]): Promise<void> {
    return this.#single(({ importer }) => importer.import(items));
  }

  async subscribe(onHint: (dueAt?: number) => void): Promise<() => Promise<void>> {
    return this.#ready().hints.subscribe(onHint);
  }

  async #open(clock: Clock): Promise<void> {
    const { path, driver, durability, readonly } = this.#settings;
    const found = new DriverFinder().find(driver);
    const database = readonly
      ? await openReadonly(found, path)
      : await openDatabase(found, path, durability);
    const session = new Session(database, this.#settings.clock ?? clock);
    try {
      if (!readonly) await whileBusy(() => session.register());
    } catch (error) {
      database.close();
      throw storageErrorOf(error, path);
    }
    this.#session = session;
  }

  async #close(): Promise<void> {
    await this.#opening?.catch(() => undefined);
    await this.#session?.close();
  }

  #ready(): Session {
    if (this.#session === undefined || this.#closing !== undefined) throw this.#closed();
    return this.#session;
  }

  #writable(): Session {
    const session = this.#ready();
    if (this.#settings.readonly) throw readonlyError(this.#settings.path);
    return session;
  }

  #closed(): StorageError {
    const { path } = this.#settings;
    const state = this.#closing === undefined ? "is not open yet: call init() first" : "was closed";
    return new StorageError("STORAGE_CLOSED", `The SQLite storage ${path} ${state}.`, {
      details: { path },
    });
  }

  async #read<T>(read: (session: Session) => T): Promise<T> {
    this.#ready();
    try {
      return await whileBusy(() => read(this.#ready()));
    } catch (error) {
      throw storageErrorOf(error, this.#settings.path);
    }
  }

  async #single<T>(
    write: (session: Session) => T,
    read?: (session: Session) => T | undefined,
  ): Promise<T> {
    const session = this.#writable();
    return new Promise<T>((resolve, reject) => {
      const quick = read === undefined ? undefined : () => read(session);
      session.queue.add(new SingleBatch(() => write(session), { resolve, reject }, quick));
    });
  }

  #elements<E, R>(
    elements: readonly E[],
    workOf: (session: Session) => ElementWork<E, R>,
  ): Promise<R[]> {
    return new Promise<R[]>((resolve, reject) => {
      const session = this.#writable();
      if (elements.length === 0) resolve([]);
      else session.queue.add(new ElementBatch(elements, workOf(session), resolve, reject));
    });
  }
}
