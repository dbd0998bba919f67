import { StorageError } from "../../core/errors.js";
import type { RunStatus } from "../../core/run-status.js";
import type { RunPage, RunQuery } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import { runColumns, storedRowOf } from "./run-row.js";

/** `displayStatus` of core/run-status.ts; the parameter is now. */
const displayed = (now: string) =>
  "case when r.due_at is not null and r.blocked is null and r.due_at <= " +
  `${now} and (r.lease_until is null or r.lease_until <= ${now}) then 'QUEUED' else r.status end`;

/** Newest first: row keys rise with creation. */
export async function listRuns(context: Context, query: RunQuery): Promise<RunPage> {
  const parameters: (string | null)[] = [];
  const conditions: string[] = [];
  const add = (condition: (place: string) => string, value: string | null): void => {
    parameters.push(value);
    conditions.push(condition(`$${parameters.length}`));
  };
  const { cursor, jobIds, statuses, tag, eventId, parentId, createdFrom, createdTo } = query;
  if (cursor !== undefined) add((place) => `r.rk < ${place}::bigint`, rowOfCursor(cursor));
  if (jobIds !== undefined) add((place) => `r.job_id = any(${place}::text[])`, arrayText(jobIds));
  if (tag !== undefined) add((place) => `r.tags @> array[${place}::text]`, tag);
  if (eventId !== undefined) add((place) => `r.event_id = ${place}`, eventId);
  if (parentId !== undefined) add((place) => `r.parent_id = ${place}`, parentId);
  if (createdFrom !== undefined)
    add((place) => `r.created_at >= ${place}::bigint`, String(createdFrom));
  if (createdTo !== undefined) add((place) => `r.created_at < ${place}::bigint`, String(createdTo));
  if (query.internal !== true) conditions.push("not r.internal");
  if (query.blocked !== undefined)
    conditions.push(`r.blocked is ${query.blocked ? "not " : ""}null`);
  if (statuses !== undefined) {
    const now = String(await context.clock.now(context.driver));
    add((place) => `${displayed(`${place}::bigint`)} = any(`, now);
    conditions.push(`${conditions.pop()}$${parameters.length + 1}::text[])`);
    parameters.push(arrayText(statuses));
  }
  const where = conditions.length === 0 ? "true" : conditions.join(" and ");
  const rows = await context.driver.query(
    `select ${runColumns} from ${context.schema}.runs r where ${where} order by r.rk desc limit ${query.limit + 1}`,
    parameters,
  );
  const found = rows.map(storedRowOf);
  const page = found.slice(0, query.limit);
  const runs = page.map(({ stored }) => stored.run);
  const last = page.at(-1);
  return found.length > query.limit && last !== undefined
    ? { runs, nextCursor: `r${last.rk}` }
    : { runs };
}

function rowOfCursor(cursor: string): string {
  const rk = /^r(\d{1,18})$/.exec(cursor)?.[1];
  if (rk !== undefined) return rk;
  throw new StorageError("STORAGE_INVALID", "The cursor is not one that listRuns gave.");
}

export async function countRuns(context: Context): Promise<Partial<Record<RunStatus, number>>> {
  const now = String(await context.clock.now(context.driver));
  const rows = await context.driver.query(
    `select ${displayed("$1::bigint")} as shown, count(*)::text from ${context.schema}.runs r where not r.internal group by shown`,
    [now],
  );
  return Object.fromEntries(rows.map(([status, count]) => [status, Number(count)]));
}
