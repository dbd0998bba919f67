import type { StoredValue, ValueResult, ValueWrite } from "../../core/storage.js";
import type { Database } from "./database.js";
import { packText, RowReader } from "./text.js";

const selectFrom =
  "select key, value, version from pawl_values where value is not null and key >= ?";

/**
 * A deleted value keeps its row without text, so that its versions never
 * repeat. When such rows are purged, new keys start above all their versions.
 */
export class ValueStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(key: string): StoredValue | undefined {
    const row = this.#database.get(
      "select value, version from pawl_values where key = ? and value is not null",
      [key],
    );
    if (row === undefined) return undefined;
    const read = new RowReader(row);
    return { value: read.text(), version: read.number() };
  }

  /** 0 if there is no value. */
  versionOf(key: string): number {
    return this.get(key)?.version ?? 0;
  }

  write({ key, value, expected }: ValueWrite): ValueResult {
    const present = this.get(key);
    const version = present?.version ?? 0;
    if (expected !== undefined && expected !== version) {
      return present === undefined
        ? { ok: false, version }
        : { ok: false, version, value: present.value };
    }
    if (value === null && present === undefined) return { ok: true, version: 0 };
    const text = value === null ? null : packText(value);
    const changed = this.#database.run(
      "update pawl_values set version = version + 1, value = ? where key = ?",
      [text, key],
    );
    if (changed === 0) {
      this.#database.run(
        "insert into pawl_values (key, version, value) select ?, value + 1, ? from pawl_meta where key = 'values'",
        [key, text],
      );
    }
    return { ok: true, version: this.versionOf(key) };
  }

  purgeDeleted(limit: number): void {
    const deleted = this.#database.all(
      "select key, version from pawl_values indexed by pawl_values_deleted where value is null limit ?",
      [limit],
    );
    for (const row of deleted) {
      const read = new RowReader(row);
      const key = read.string();
      const version = read.number();
      this.#database.run("update pawl_meta set value = max(value, ?) where key = 'values'", [
        version,
      ]);
      this.#database.run("delete from pawl_values where key = ?", [key]);
    }
  }

  /** Keys with one prefix lie side by side, so the first other one is the end. */
  list(prefix: string, page: { after?: string; limit: number }): (StoredValue & { key: string })[] {
    const { after, limit } = page;
    const rows =
      after === undefined
        ? this.#database.all(`${selectFrom} order by key limit ?`, [prefix, limit])
        : this.#database.all(`${selectFrom} and key > ? order by key limit ?`, [
            prefix,
            after,
            limit,
          ]);
    const found: (StoredValue & { key: string })[] = [];
    for (const row of rows) {
      const read = new RowReader(row);
      const key = read.string();
      if (!key.startsWith(prefix)) break;
      found.push({ key, value: read.text(), version: read.number() });
    }
    return found;
  }
}
