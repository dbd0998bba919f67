import type { PurgeQuery } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";

/** So many task records go in one statement, or those of one run. */
const MOST_TASKS = 20_000;

/** Deletes ended runs, and what kept their ids and keys from being used again once that time is over. */
export function purge(
  context: Context,
  { finishedBefore, dedupeUntil, limit }: PurgeQuery,
): Promise<{ purged: number }> {
  const { driver, schema } = context;
  return driver.transaction(async (session) => {
    const now = String(await context.clock.now(session));
    // Children stay until their parent has ended: it may still ask for their results. A run stays for its hooks.
    const ended = await session.query(
      `select r.rk::text from ${schema}.runs r where r.finished_at < $1::bigint and r.due_at is null ` +
        `and not exists (select 1 from ${schema}.runs p where p.id = r.parent_id and p.due_at is not null) ` +
        `and not exists (select 1 from ${schema}.runs c where c.parent_id = r.id and c.internal and c.due_at is not null) ` +
        "order by r.finished_at limit $2::bigint for update skip locked",
      [String(finishedBefore), String(limit)],
    );
    const purged = await firstOf(
      context,
      session,
      ended.flatMap(([rk]) => rk ?? []),
    );
    const rks = arrayText(purged);
    if (purged.length > 0) {
      await session.query(
        `insert into ${schema}.tombstones (id, job_id, idempotency_key, create_id, key_expires_at, fingerprint, created_at, until) ` +
          `select id, job_id, idempotency_key, create_id, key_expires_at, fingerprint, created_at, $2::bigint from ${schema}.runs where rk = any($1::bigint[]) ` +
          "on conflict (id) do update set job_id = excluded.job_id, idempotency_key = excluded.idempotency_key, create_id = excluded.create_id, " +
          "key_expires_at = excluded.key_expires_at, fingerprint = excluded.fingerprint, created_at = excluded.created_at, until = excluded.until",
        [rks, String(dedupeUntil)],
      );
      for (const table of ["tasks", "signals", "logs", "runs"])
        await session.query(`delete from ${schema}.${table} where rk = any($1::bigint[])`, [rks]);
    }
    const forgotten = await session.query(
      `delete from ${schema}.tombstones where id in (select id from ${schema}.tombstones where until <= $1::bigint order by until limit $2::bigint for update skip locked) returning id`,
      [now, String(limit)],
    );
    // A run may have got the id of a purged one.
    await session.query(
      `delete from ${schema}.keys k where k.run_id = any($1::text[]) and not exists (select 1 from ${schema}.runs r where r.id = k.run_id)`,
      [arrayText(forgotten.map(([id]) => id ?? null))],
    );
    return { purged: purged.length };
  });
}

/** As many as have few enough records together, at least one: a statement must not take too long. */
async function firstOf(
  { schema }: Context,
  session: Session,
  rks: readonly string[],
): Promise<string[]> {
  const counts = await session.query(
    `select rk::text, count(*)::text from ${schema}.tasks where rk = any($1::bigint[]) group by rk`,
    [arrayText(rks)],
  );
  const tasks = new Map(counts.map(([rk, count]) => [rk, Number(count)]));
  let sum = 0;
  return rks.filter((rk, index) => {
    sum += tasks.get(rk) ?? 0;
    return index === 0 || sum <= MOST_TASKS;
  });
}
