import type { PurgeQuery } from "../../core/storage.js";
import { deleteTags } from "./run-insert.js";
import { numberOf } from "./text.js";
import type { Transaction } from "./transaction.js";
import type { ValueStore } from "./values.js";

/** Children stay until their parent has ended: it may still ask for their results. A run stays for its hooks. */
const selectEnded =
  "select rk from pawl_runs r indexed by pawl_runs_finished where finished_at < ? and due_at is null " +
  "and not exists (select 1 from pawl_runs p where p.id = r.parent_id and p.due_at is not null) " +
  "and not exists (select 1 from pawl_runs c where c.parent_id = r.id and c.internal = 1 and c.due_at is not null) " +
  "order by finished_at limit ?";

const insertTombstone =
  "insert or replace into pawl_tombstones (id, create_id, fingerprint, created_at, until) " +
  "select id, create_id, fingerprint, created_at, ? from pawl_runs where rk = ?";

const markKey =
  "update pawl_keys set purged_until = ? where run_id = (select id from pawl_runs where rk = ?) " +
  "and job_id = (select job_id from pawl_runs where rk = ?) and key = (select idempotency_key from pawl_runs where rk = ?)";

const belongings = ["pawl_tasks", "pawl_topics", "pawl_signals", "pawl_logs", "pawl_runs"];

/** Deletes ended runs, and what kept their ids and keys from being used again once that time is over. */
export class Purger {
  readonly #transaction: Transaction;
  readonly #values: ValueStore;

  constructor(transaction: Transaction, values: ValueStore) {
    this.#transaction = transaction;
    this.#values = values;
  }

  purge({ finishedBefore, dedupeUntil, limit }: PurgeQuery): number {
    const { database, now } = this.#transaction;
    const ended = database.all(selectEnded, [finishedBefore, limit]).map((row) => numberOf(row));
    for (const rk of ended) {
      database.run(insertTombstone, [dedupeUntil, rk]);
      database.run(markKey, [dedupeUntil, rk, rk, rk]);
      deleteTags(database, rk);
      for (const table of belongings) database.run(`delete from ${table} where rk = ?`, [rk]);
    }
    database.run(
      "delete from pawl_tombstones where id in (select id from pawl_tombstones where until <= ? limit ?)",
      [now, limit],
    );
    database.run(
      "delete from pawl_keys where (job_id, key) in (select job_id, key from pawl_keys where purged_until <= ? limit ?)",
      [now, limit],
    );
    this.#values.purgeDeleted(limit);
    this.#transaction.forgetAll();
    this.#transaction.paths.forgetAll();
    return ended.length;
  }
}
