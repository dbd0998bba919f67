import type { RunRecord, Storage, TaskRecord } from "../../src/core/storage.js";

export type StoredTask = TaskRecord;

/** What is stored at this moment, read past all faults. */
export class StoreView {
  readonly #storage: Storage;
  readonly #runs = new Map<string, RunRecord>();
  /** Virtual instants of the last claims. */
  readonly claimedAt = new Map<string, number>();
  readonly #tasks = new Map<string, Map<string, StoredTask>>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  get storage(): Storage {
    return this.#storage;
  }

  run(runId: string): RunRecord | undefined {
    return this.#runs.get(runId);
  }

  runs(): Iterable<RunRecord> {
    return this.#runs.values();
  }

  task(runId: string, path: string): StoredTask | undefined {
    return this.#tasks.get(runId)?.get(path);
  }

  tasks(runId: string): ReadonlyMap<string, StoredTask> {
    return this.#tasks.get(runId) ?? new Map();
  }

  /** Reads these runs anew; `before` and `after` of each. */
  async look(
    runIds: ReadonlySet<string>,
    withTasks: boolean,
    compare: (change: Change) => void,
  ): Promise<void> {
    const ids = [...runIds];
    const records = await this.#storage.getRuns(ids);
    for (const [index, id] of ids.entries()) {
      const after = records[index];
      if (after === undefined) continue;
      const before = this.#runs.get(id);
      const tasksBefore = this.tasks(id);
      const tasks = withTasks ? await this.#readTasks(id) : tasksBefore;
      this.#runs.set(id, after);
      compare({ before, after, tasksBefore, tasks });
    }
  }

  async #readTasks(runId: string): Promise<ReadonlyMap<string, StoredTask>> {
    const { tasks } = await this.#storage.listTasks(runId, 0, Number.MAX_SAFE_INTEGER);
    const byPath = new Map(tasks.map((task) => [task.path, task]));
    this.#tasks.set(runId, byPath);
    return byPath;
  }
}

export interface Change {
  readonly before: RunRecord | undefined;
  readonly after: RunRecord;
  readonly tasksBefore: ReadonlyMap<string, StoredTask>;
  readonly tasks: ReadonlyMap<string, StoredTask>;
}
