import type { NewRun } from "../../core/storage.js";
import { Heap } from "./heap.js";
import type { RunRow } from "./run-row.js";

/** What is left of a purged run, so that its id and key are not used again too soon. */
export interface Tombstone {
  heapIndex: number;
  readonly purged: true;
  readonly id: string;
  readonly createId: string | null;
  readonly fingerprint: string | null;
  readonly createdAt: number;
  readonly until: number;
  readonly keyExpiresAt: number;
  readonly key: string | null;
}

export type Holder = RunRow | Tombstone;

function keyOf(jobId: string, idempotencyKey: string | null | undefined): string | null {
  return typeof idempotencyKey === "string" ? `${jobId}\u0000${idempotencyKey}` : null;
}

/** Which run, or what is left of it, holds an id or an idempotency key. */
export class Identities {
  readonly #runs = new Map<string, RunRow>();
  readonly #keys = new Map<string, Holder>();
  readonly #graves = new Map<string, Tombstone>();
  readonly #byEnd = new Heap<Tombstone>((a, b) => a.until < b.until);

  run(id: string): RunRow | undefined {
    return this.#runs.get(id);
  }

  /** Who makes this run unnecessary. */
  holder(run: NewRun, now: number): Holder | undefined {
    const byId = this.#runs.get(run.id) ?? this.#graves.get(run.id);
    if (byId !== undefined && isThere(byId, now)) return byId;
    const key = keyOf(run.jobId, run.idempotencyKey);
    const byKey = key === null ? undefined : this.#keys.get(key);
    return byKey !== undefined && isThere(byKey, now) && byKey.keyExpiresAt > now
      ? byKey
      : undefined;
  }

  add(row: RunRow): void {
    this.#runs.set(row.id, row);
    const key = keyOf(row.jobId, row.idempotencyKey);
    if (key !== null) this.#keys.set(key, row);
  }

  bury(row: RunRow, until: number): void {
    const key = keyOf(row.jobId, row.idempotencyKey);
    const grave: Tombstone = {
      heapIndex: -1,
      purged: true,
      id: row.id,
      createId: row.createId,
      fingerprint: row.fingerprint,
      createdAt: row.createdAt,
      until,
      keyExpiresAt: row.keyExpiresAt,
      key,
    };
    this.#runs.delete(row.id);
    this.#graves.set(row.id, grave);
    this.#byEnd.push(grave);
    if (key !== null && this.#keys.get(key) === row) this.#keys.set(key, grave);
  }

  forgetExpired(now: number): void {
    let grave = this.#byEnd.peek();
    while (grave !== undefined && !isThere(grave, now)) {
      this.#byEnd.remove(grave);
      if (this.#graves.get(grave.id) === grave) this.#graves.delete(grave.id);
      if (grave.key !== null && this.#keys.get(grave.key) === grave) this.#keys.delete(grave.key);
      grave = this.#byEnd.peek();
    }
  }
}

function isThere(holder: Holder, now: number): boolean {
  return !("until" in holder) || holder.until > now;
}
