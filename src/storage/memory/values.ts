import type { StoredValue, ValueResult } from "../../core/storage.js";

interface Entry {
  /** null: deleted. The entry stays, so that no version ever comes again. */
  value: string | null;
  version: number;
}

export class Values {
  readonly #entries = new Map<string, Entry>();
  /** All keys that ever were, sorted when a list is asked for. */
  #keys: string[] = [];
  #sorted = true;

  get(key: string): StoredValue | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.value === null) return undefined;
    return { value: entry.value, version: entry.version };
  }

  versionOf(key: string): number {
    return this.get(key)?.version ?? 0;
  }

  matches(key: string, expected: number | undefined): boolean {
    return expected === undefined || this.versionOf(key) === expected;
  }

  /** `value` null deletes. */
  write(key: string, value: string | null, expected: number | undefined): ValueResult {
    if (!this.matches(key, expected)) {
      const current = this.get(key);
      return current === undefined ? { ok: false, version: 0 } : { ok: false, ...current };
    }
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      if (value !== null) entry.version += 1;
      entry.value = value;
    } else if (value !== null) {
      this.#entries.set(key, { value, version: 1 });
      this.#keys.push(key);
      this.#sorted = false;
    }
    return { ok: true, version: this.versionOf(key) };
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
