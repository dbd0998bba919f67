import { isFinal } from "../../core/run-status.js";
import type { NewSignal, Watch, WatchRef } from "../../core/storage.js";
import { WATCH_TOPIC } from "../../core/storage.js";
import { dueAtOf } from "./run-change.js";
import type { RunHead } from "./run-row.js";
import { packTextOrNull } from "./text.js";
import type { Transaction } from "./transaction.js";

const insertSignal =
  "insert or ignore into pawl_signals (rk, id, position, unread, topic, ref) values (?, ?, ?, 1, ?, ?)";

/** What a write does to other runs, done in the same transaction (contract S9, S10). */
export class Effects {
  readonly #transaction: Transaction;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  /** A signal for a run that does not exist has no effect. */
  signal({ runId, id, topic, ref }: NewSignal): void {
    const head = this.#transaction.head(runId);
    if (head === undefined) return;
    const { database } = this.#transaction;
    const position = head.inbox + 1;
    if (database.run(insertSignal, [head.rk, id, position, topic, packTextOrNull(ref)]) === 0)
      return;
    head.inbox = position;
    if (topic !== WATCH_TOPIC) {
      head.unread++;
      if (head.leaseUntil === null) head.dueAt = dueAtOf(head, this.#transaction.now);
    }
    database.run("update pawl_runs set inbox = ?, unread = ?, due_at = ? where rk = ?", [
      head.inbox,
      head.unread,
      head.dueAt,
      head.rk,
    ]);
  }

  watch(watcherId: string, { targetId, signalId, topic }: Watch): void {
    const target = this.#transaction.head(targetId);
    if (target === undefined || isFinal(target.status)) {
      this.signal({ runId: watcherId, id: signalId, topic, ref: targetId });
      return;
    }
    const ref: WatchRef = { watcherId, signalId, topic };
    this.signal({
      runId: targetId,
      id: `${watcherId} ${signalId}`,
      topic: WATCH_TOPIC,
      ref: JSON.stringify(ref),
    });
  }

  /** Watches are never read: they concern the end of the run, not its work. */
  markRead(head: RunHead, signalIds: readonly string[]): void {
    for (const id of signalIds) {
      head.unread -= this.#transaction.database.run(
        "update pawl_signals set unread = 0 where rk = ? and id = ? and unread = 1 and topic <> ?",
        [head.rk, id, WATCH_TOPIC],
      );
    }
  }
}
