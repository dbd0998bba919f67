import type { RunStatus } from "../../core/run-status.js";
import type { Context } from "./context.js";
import { rankOf } from "./rank.js";

/** All internal runs are before it. */
const lowestPublicRank = rankOf({
  internal: false,
  priority: Number.POSITIVE_INFINITY,
  started: true,
});

/**
 * Runs by `displayStatus` of core/run-status.ts, internal ones left out. A run
 * that is due has no live lease, so it is QUEUED unless it is blocked: what has
 * ended and the long part of a backlog are counted without a look at the rows.
 */
export function countRuns({
  driver,
  schema,
  clock,
}: Context): Promise<Partial<Record<RunStatus, number>>> {
  const from = `from ${schema}.runs r where`;
  const over = `${from} r.due_at is null and not r.internal`;
  const due = `${from} r.rank >= ${lowestPublicRank} and r.due_at <= $1::bigint`;
  const notDue = `${from} r.rank >= ${lowestPublicRank} and r.due_at > $1::bigint`;
  const blocked = `${from} r.blocked is not null and not r.internal and r.due_at <= $1::bigint`;
  const byStatus = (runs: string) => `select r.status, count(*) as n ${runs} group by r.status`;
  return driver.transaction(async (session) => {
    const rows = await session.query(
      "select status, sum(n)::text from (" +
        `${byStatus(over)} union all ${byStatus(notDue)} union all ${byStatus(blocked)} union all ` +
        `select 'QUEUED', (select count(*) ${due}) - (select count(*) ${blocked})) as counts group by status having sum(n) > 0`,
      [String(await clock.now(session))],
    );
    return Object.fromEntries(rows.map(([status, count]) => [status, Number(count)]));
  });
}
