import { holderOf, type Identity, keyName, tombstoneOf } from "../../core/creation.js";
import { tombstoneWithKey } from "../../core/items.js";
import type { KeyItem, NewRun } from "../../core/storage.js";
import { Heap } from "./heap.js";
import type { RunRow } from "./run-row.js";

interface Grave {
  heapIndex: number;
  tombstone: Identity;
  readonly until: number;
}

/** Which run, or what is left of it, has an id or an idempotency key. */
export class Identities {
  readonly #runs = new Map<string, RunRow>();
  readonly #graves = new Map<string, Grave>();
  readonly #byEnd = new Heap<Grave>((a, b) => a.until < b.until);
  /** Run ids by key. */
  readonly #keys = new Map<string, string>();

  run(id: string): RunRow | undefined {
    return this.#runs.get(id);
  }

  /** Who makes this run unnecessary. */
  holder(run: NewRun, now: number): Identity | undefined {
    const key = keyName(run);
    const holderId = key === null ? undefined : this.#keys.get(key);
    const byKey = holderId === undefined ? undefined : this.#identity(holderId);
    return holderOf(run, this.#identity(run.id), byKey, now);
  }

  add(row: RunRow, hasKey: boolean): void {
    this.#runs.set(row.id, row);
    const key = hasKey ? keyName(row.run) : null;
    if (key !== null) this.#keys.set(key, row.id);
  }

  bury(row: RunRow, until: number): void {
    this.#runs.delete(row.id);
    this.#addGrave(tombstoneOf(row.stored, until), until);
  }

  #addGrave(tombstone: Identity, until: number): void {
    const grave = { heapIndex: -1, tombstone, until };
    this.#graves.set(tombstone.run.id, grave);
    this.#byEnd.push(grave);
  }

  *tombstones(): Generator<Identity> {
    for (const { tombstone } of this.#graves.values()) yield tombstone;
  }

  isBuried(id: string): boolean {
    return this.#graves.has(id);
  }

  runOfKey(name: string): string | undefined {
    return this.#keys.get(name);
  }

  /** A tombstone of another store, unless it is here already. */
  restore(tombstone: Identity): void {
    const { run, until = 0 } = tombstone;
    if (!this.#graves.has(run.id)) this.#addGrave(tombstone, until);
  }

  /** The key of a tombstone that was restored. */
  restoreKey(item: KeyItem): void {
    const grave = this.#graves.get(item.runId);
    const name = keyName(item);
    if (grave === undefined || name === null || this.#keys.has(name)) return;
    grave.tombstone = tombstoneWithKey(grave.tombstone, item);
    this.#keys.set(name, item.runId);
  }

  forgetExpired(now: number): void {
    let grave = this.#byEnd.peek();
    while (grave !== undefined && grave.until <= now) {
      this.#byEnd.remove(grave);
      this.#forget(grave);
      grave = this.#byEnd.peek();
    }
  }

  /** The id and the key may have another run by now. */
  #forget(grave: Grave): void {
    const { run } = grave.tombstone;
    const key = keyName(run);
    if (this.#graves.get(run.id) === grave) this.#graves.delete(run.id);
    const heir = this.#runs.get(run.id)?.run;
    const isFree = heir === undefined || keyName(heir) !== key;
    if (key !== null && isFree && this.#keys.get(key) === run.id) this.#keys.delete(key);
  }

  #identity(id: string): Identity | undefined {
    return this.#runs.get(id)?.stored ?? this.#graves.get(id)?.tombstone;
  }
}
