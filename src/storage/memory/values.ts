import type { StoredValue, ValueResult, ValueWrite } from "../../core/storage.js";
import { afterValueWrite, storedValue, type ValueEntry } from "../../core/stored-data.js";

export class Values {
  readonly #entries = new Map<string, ValueEntry>();
  /** All keys that ever were, sorted when a list is asked for. */
  #keys: string[] = [];
  #sorted = true;

  get(key: string): StoredValue | undefined {
    return storedValue(this.#entries.get(key));
  }

  versionOf(key: string): number {
    return this.get(key)?.version ?? 0;
  }

  write(write: ValueWrite): ValueResult {
    const { key } = write;
    const present = this.#entries.get(key);
    const { entry, result } = afterValueWrite(present, write);
    if (entry !== undefined) this.#put(key, entry);
    return result;
  }

  /** From another store, unless it is here already. */
  restore(key: string, { value, version }: ValueEntry): void {
    if (!this.#entries.has(key)) this.#put(key, { value, version });
  }

  /** Also what was deleted. */
  entries(): Iterable<readonly [string, ValueEntry]> {
    return this.#entries;
  }

  #put(key: string, entry: ValueEntry): void {
    if (!this.#entries.has(key)) {
      this.#keys.push(key);
      this.#sorted = false;
    }
    this.#entries.set(key, entry);
  }

  list(
    prefix: string,
    after: string | undefined,
    limit: number,
  ): (StoredValue & { key: string })[] {
    if (!this.#sorted) this.#keys.sort();
    this.#sorted = true;
    const found: (StoredValue & { key: string })[] = [];
    for (let at = this.#indexFrom(prefix, after); at < this.#keys.length; at += 1) {
      const key = this.#keys[at];
      if (key === undefined || found.length >= limit || !key.startsWith(prefix)) break;
      const stored = this.get(key);
      if (stored !== undefined) found.push({ key, ...stored });
    }
    return found;
  }

  #indexFrom(prefix: string, after: string | undefined): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const key = this.#keys[middle] ?? "";
      if (key < prefix || (after !== undefined && key <= after)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
