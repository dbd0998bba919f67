import type { RunStatus } from "../../core/run-status.js";
import type { Database } from "./database.js";
import { lowestPublicRank, ranksFrom } from "./rank.js";
import { firstNumber, RowReader } from "./text.js";

type Counts = Partial<Record<RunStatus, number>>;

const countOver =
  "select status, count(*) from pawl_runs indexed by pawl_runs_over " +
  "where due_at is null and internal = 0 group by status";

const countDue =
  "select count(*) from pawl_runs indexed by pawl_runs_claim where rank = ? and due_at <= ?";

const countNotDue =
  "select status, count(*) from pawl_runs indexed by pawl_runs_claim " +
  "where rank = ? and due_at > ? group by status";

const countBlocked =
  "select status, count(*) from pawl_runs indexed by pawl_runs_blocked " +
  "where blocked is not null and due_at <= ? and internal = 0 group by status";

/**
 * Runs by `displayStatus` of core/run-status.ts, internal ones left out. A run
 * that is due has no live lease, so it is QUEUED unless it is blocked: the long
 * part of a backlog is counted without a look at its rows.
 */
export function countRuns(database: Database, now: number): Counts {
  const counts: Counts = {};
  const add = (status: RunStatus, count: number): void => {
    if (count !== 0) counts[status] = (counts[status] ?? 0) + count;
  };
  const addAll = (sql: string, ...values: number[]): number => {
    let sum = 0;
    for (const row of database.all(sql, values)) {
      const read = new RowReader(row);
      const status = read.string() as RunStatus;
      const count = read.number();
      add(status, count);
      sum += count;
    }
    return sum;
  };
  addAll(countOver);
  let due = 0;
  for (const rank of ranksFrom(database, lowestPublicRank)) {
    due += firstNumber(database.get(countDue, [rank, now])) ?? 0;
    addAll(countNotDue, rank, now);
  }
  add("QUEUED", due - addAll(countBlocked, now));
  return counts;
}
