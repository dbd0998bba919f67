import type { StorageError } from "../../core/errors.js";
import { isBusy, isRefusal, storageErrorOf } from "./failure.js";
import type { LockManners } from "./lock-manners.js";
import type { Transaction } from "./transaction.js";

/**
 * Elements of one call, written in a transaction together with those of other
 * calls. `apply` may be called several times for one index, each time after
 * what it wrote before was rolled back.
 */
export interface Batch {
  readonly size: number;
  /** It has a transaction to itself. */
  readonly goesAlone?: boolean;
  /** Answers the batch without the write lock, if it has nothing to write. */
  settleByReading?(): boolean;
  /** Writes a batch of one element without a transaction, if that is possible. */
  applyAlone?(): boolean;
  apply(index: number): void;
  /** The element cannot be stored; its neighbours can. */
  refuse(index: number, cause: unknown): void;
  done(): void;
  fail(error: StorageError): void;
}

interface Pending {
  readonly batch: Batch;
  next: number;
}

interface GroupPart {
  readonly pending: Pending;
  readonly to: number;
}

const settled = Promise.resolve();

/** A larger group would not be written faster, but would block the event loop longer. */
const MOST_IN_GROUP = 1_000;
const BUSY_FOR_MS = 10_000;

/**
 * Puts all calls that arrive in one turn of the event loop into one
 * transaction, and so into one flush to disk. Only a single task record that
 * comes while nothing waits is written at once: whoever has several has put
 * them into one call.
 */
export class WriteQueue {
  readonly #transaction: Transaction;
  readonly #manners: LockManners;
  #waiting: Pending[] = [];
  #scheduled = false;
  /** So many elements from the front go one by one, after their group failed. */
  #alone = 0;
  #busySince: number | undefined;
  #whenDrained: (() => void)[] = [];
  readonly #onTurn = () => this.#run();

  constructor(transaction: Transaction, manners: LockManners) {
    this.#transaction = transaction;
    this.#manners = manners;
  }

  add(batch: Batch): void {
    if (!this.#scheduled && this.#settleAlone(batch)) return;
    this.#waiting.push({ batch, next: 0 });
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Not queueMicrotask, which makes an async resource of each call.
    void settled.then(this.#onTurn);
  }

  /** Resolves when everything is settled. */
  drained(): Promise<void> {
    if (!this.#scheduled) return Promise.resolve();
    return new Promise((resolve) => this.#whenDrained.push(resolve));
  }

  #run(): void {
    this.#settleReaders();
    const pause = this.#waiting.length === 0 ? 0 : this.#write();
    // Between two groups the event loop gets its turn.
    if (this.#waiting.length > 0) {
      this.#later(pause);
    } else {
      this.#scheduled = false;
      for (const resolve of this.#whenDrained.splice(0)) resolve();
    }
  }

  #later(delayMs: number): void {
    if (delayMs <= 0) setImmediate(() => this.#run());
    else setTimeout(() => this.#run(), delayMs);
  }

  /** Only if nobody in the group writes: a claim must see what the commits before it made due. */
  #settleReaders(): void {
    if (this.#waiting.some(({ batch }) => batch.settleByReading === undefined)) return;
    this.#waiting = this.#waiting.filter(({ batch }) => {
      try {
        return batch.settleByReading?.() !== true;
      } catch {
        // Whatever it is, the transaction will meet it again and deal with it.
        return true;
      }
    });
  }

  /** Answers for how many milliseconds to wait before the next group. */
  #write(): number {
    let group: readonly GroupPart[] = [];
    try {
      const pause = this.#manners.pauseBefore();
      if (pause > 0) return pause;
      group = this.#nextGroup();
      this.#inTransaction(group);
    } catch (error) {
      if (isBusy(error)) return this.#whenBusy(error);
      this.#whenFailed(group, error);
      return 0;
    }
    this.#manners.released();
    this.#busySince = undefined;
    this.#settle(group);
    return 0;
  }

  /** One statement, which commits by itself, and no turn of the event loop. False: the batch has to wait its turn. */
  #settleAlone(batch: Batch): boolean {
    // Found busy, it would cost the connection (see Database.runAlone).
    if (batch.size !== 1 || this.#manners.isShared) return false;
    try {
      if (batch.applyAlone?.() !== true) return false;
    } catch (error) {
      // The transaction meets it again, and deals with it.
      if (isBusy(error) || isRefusal(error)) return false;
      batch.fail(storageErrorOf(error, this.#transaction.database.path));
      return true;
    }
    this.#manners.released();
    batch.done();
    return true;
  }

  #nextGroup(): GroupPart[] {
    const group: GroupPart[] = [];
    let room = this.#alone > 0 ? 1 : MOST_IN_GROUP;
    for (const pending of this.#waiting) {
      const { goesAlone = false } = pending.batch;
      if (goesAlone && group.length > 0) break;
      const to = Math.min(pending.batch.size, pending.next + room);
      room -= to - pending.next;
      group.push({ pending, to });
      if (room === 0 || goesAlone) break;
    }
    return group;
  }

  #inTransaction(group: readonly GroupPart[]): void {
    this.#transaction.begin();
    try {
      for (const { pending, to } of group) {
        for (let index = pending.next; index < to; index++) pending.batch.apply(index);
      }
      this.#transaction.commit();
    } catch (error) {
      this.#transaction.rollback();
      throw error;
    }
  }

  #whenBusy(error: unknown): number {
    this.#manners.refused();
    const now = performance.now();
    this.#busySince ??= now;
    if (now - this.#busySince < BUSY_FOR_MS) return 1 + Math.random() * 2;
    this.#busySince = undefined;
    for (const pending of this.#waiting.splice(0)) this.#fail(pending, error);
    return 0;
  }

  /** Something in the group cannot be written, and no neighbour may suffer for it (contract S1). */
  #whenFailed(group: readonly GroupPart[], error: unknown): void {
    const size = group.reduce((sum, { pending, to }) => sum + to - pending.next, 0);
    const [first] = group;
    if (size > 1) {
      this.#alone = size;
    } else if (first !== undefined && this.#refuse(first.pending, error)) {
      this.#settle(group);
    } else {
      // Failed before or after the commit, nobody knows: it is sent again under the same id.
      const pending = this.#waiting.shift();
      if (pending !== undefined) this.#fail(pending, error);
    }
  }

  #refuse({ batch, next }: Pending, error: unknown): boolean {
    if (!isRefusal(error)) return false;
    try {
      batch.refuse(next, error);
      return true;
    } catch {
      // Not even the run's state can be read, which is the greater trouble.
      return false;
    }
  }

  #fail({ batch, next }: Pending, error: unknown): void {
    this.#alone = Math.max(0, this.#alone - (batch.size - next));
    batch.fail(storageErrorOf(error, this.#transaction.database.path));
  }

  #settle(group: readonly GroupPart[]): void {
    for (const { pending, to } of group) {
      this.#alone = Math.max(0, this.#alone - (to - pending.next));
      pending.next = to;
      if (to === pending.batch.size) pending.batch.done();
    }
    this.#waiting = this.#waiting.filter(({ batch, next }) => next < batch.size);
  }
}
