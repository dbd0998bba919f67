import { type NewSignal, WATCH_TOPIC, type Watch } from "../../core/storage.js";
import { signalOfWatch } from "../../core/stored-data.js";
import { dueAtOf } from "../../core/stored-run.js";
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
      if (head.leaseUntil === null) head.dueAt = dueAtOf(head, head, this.#transaction.now);
    }
    database.run("update pawl_runs set inbox = ?, unread = ?, due_at = ? where rk = ?", [
      head.inbox,
      head.unread,
      head.dueAt,
      head.rk,
    ]);
  }

  watch(watcherId: string, watch: Watch): void {
    this.signal(signalOfWatch(watcherId, watch, this.#transaction.head(watch.targetId)));
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
