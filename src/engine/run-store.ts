import type { TaskRecord } from "../core/storage.js";
import { decodeTaskData } from "../core/task-data.js";

/**
 * The values of `io.store.run`. Only the run itself changes them, so its records
 * are all there is to keep: what the last one says of a name is its value.
 */
export class RunStore {
  readonly #records: ReadonlyMap<string, TaskRecord>;
  #values: Map<string, string> | undefined;

  /** Reads the records only when somebody asks: most runs keep nothing. */
  constructor(records: ReadonlyMap<string, TaskRecord>) {
    this.#records = records;
  }

  get(name: string): string | undefined {
    return this.#known().get(name);
  }

  /** null deletes. */
  set(name: string, text: string | null): void {
    if (text === null) this.#known().delete(name);
    else this.#known().set(name, text);
  }

  #known(): Map<string, string> {
    if (this.#values !== undefined) return this.#values;
    this.#values = new Map();
    const inOrder = [...this.#records.values()].sort((a, b) => a.seq - b.seq);
    for (const { kind, data } of inOrder) {
      const { stored } = kind.startsWith("store") ? decodeTaskData(data) : {};
      if (stored !== undefined) this.set(stored.name, stored.text);
    }
    return this.#values;
  }
}
