import type { Clock } from "../../core/clock.js";
import { StorageError } from "../../core/errors.js";
import type { RunStatus } from "../../core/run-status.js";
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
  type StorageCapabilities,
  type StorageEnvironment,
  type StoredItem,
  type StoredLogLine,
  type StoredValue,
  type TaskPage,
  type ValueResult,
  type WaitingPage,
  type WaitingTask,
} from "../../core/storage.js";
import { countByStatus } from "../../core/stored-data.js";
import { claim } from "./claim.js";
import { commitWrite } from "./commit.js";
import { createElement } from "./create.js";
import { MemoryData } from "./data.js";
import type { HintListener } from "./hints.js";
import { purge } from "./purge.js";
import { listRuns, listWaiting } from "./read.js";
import { exportItems, importItems } from "./transfer.js";

export { MemoryData } from "./data.js";

export interface MemoryOptions {
  /** Wall time. By default the clock of the client. */
  readonly clock?: Pick<Clock, "now">;
  /**
   * Where everything is kept. Adapters that are given the same data share it,
   * as processes share a database, and it outlives them: a test can "restart"
   * on it. By default each adapter has data of its own.
   */
  readonly data?: MemoryData;
}

/** Runs live in this process and end with it: for tests, scripts and first steps. */
export function memory(options: MemoryOptions = {}): Storage {
  return new MemoryStorage(options.data ?? new MemoryData(), options.clock);
}

const capabilities: StorageCapabilities = {
  limits: true,
  staleMs: 0,
  maxElementBytes: 1 << 30,
  maxElementTasks: 1_000_000,
  maxValueBytes: 1 << 28,
};

/** Every method does its work at once: what two clients do at the same time is done one after the other. */
class MemoryStorage implements Storage {
  readonly name = "memory";
  readonly specVersion = SPEC_VERSION;
  readonly capabilities = capabilities;
  readonly #data: MemoryData;
  readonly #subscriptions = new Set<() => void>();
  #clock: Pick<Clock, "now"> | undefined;
  #closed = false;

  constructor(data: MemoryData, clock: Pick<Clock, "now"> | undefined) {
    this.#data = data;
    this.#clock = clock;
  }

  async init(environment: StorageEnvironment): Promise<void> {
    this.#open();
    this.#clock ??= environment.clock;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#subscriptions) end();
  }

  async now(): Promise<number> {
    return this.#now();
  }

  async createRuns(elements: readonly CreateElement[]): Promise<CreateResult[]> {
    const now = this.#now();
    return elements.map((element) => createElement(this.#data, element, now));
  }

  async claimRuns(request: ClaimRequest): Promise<ClaimResult> {
    return claim(this.#data, request, this.#now());
  }

  async commit(writes: readonly RunWrite[]): Promise<CommitResult[]> {
    const now = this.#now();
    return writes.map((write) => commitWrite(this.#data, write, now));
  }

  async getRuns(ids: readonly string[]): Promise<(RunRecord | undefined)[]> {
    const { identities } = this.#open();
    return ids.map((id) => identities.run(id)?.record());
  }

  async listTasks(runId: string, afterSeq: number, byteBudget: number): Promise<TaskPage> {
    const table = this.#open().identities.run(runId)?.tasks;
    return table?.page(afterSeq, byteBudget, 1) ?? { tasks: [], complete: true };
  }

  async listSignals(runId: string): Promise<Signal[]> {
    return this.#open().identities.run(runId)?.inbox?.list() ?? [];
  }

  async listWaiting(topics: readonly string[], page: WaitingPage): Promise<WaitingTask[]> {
    return listWaiting(this.#open(), topics, page);
  }

  async listRuns(query: RunQuery): Promise<RunPage> {
    return listRuns(this.#data, query, this.#now());
  }

  async listLogs(runId: string, page: { after?: number; limit: number }): Promise<StoredLogLine[]> {
    return this.#open().identities.run(runId)?.log?.page(page) ?? [];
  }

  async countRuns(): Promise<Partial<Record<RunStatus, number>>> {
    const now = this.#now();
    return countByStatus(this.#data.runs.all(), now);
  }

  async getValue(key: string): Promise<StoredValue | undefined> {
    return this.#open().values.get(key);
  }

  async setValue(key: string, value: string, expected?: number): Promise<ValueResult> {
    return this.#open().values.write({ key, value, expected });
  }

  async deleteValue(key: string, expected?: number): Promise<ValueResult> {
    return this.#open().values.write({ key, value: null, expected });
  }

  async listValues(
    prefix: string,
    { after, limit }: { after?: string; limit: number },
  ): Promise<(StoredValue & { key: string })[]> {
    return this.#open().values.list(prefix, after, limit);
  }

  async purge(query: PurgeQuery): Promise<{ purged: number }> {
    return purge(this.#data, query, this.#now());
  }

  async exportRuns(query: ItemQuery): Promise<ItemPage> {
    return exportItems(this.#open(), query);
  }

  async importRuns(items: readonly StoredItem[]): Promise<void> {
    importItems(this.#data, items, this.#now());
  }

  async subscribe(onHint: HintListener): Promise<() => Promise<void>> {
    const remove = this.#open().hints.add(onHint);
    this.#subscriptions.add(remove);
    return async () => {
      this.#subscriptions.delete(remove);
      remove();
    };
  }

  #open(): MemoryData {
    if (this.#closed) throw new StorageError("STORAGE_CLOSED", "The memory storage is closed.");
    return this.#data;
  }

  #now(): number {
    return this.#open().tick((this.#clock ?? Date).now());
  }
}
