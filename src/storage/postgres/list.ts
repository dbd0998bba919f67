import { StorageError } from "../../core/errors.js";
import { isFinal } from "../../core/run-status.js";
import type { RunPage, RunQuery } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Parameter } from "./driver.js";
import { runColumns, storedRowOf } from "./run-row.js";

/** `displayStatus` of core/run-status.ts; the parameter is now. */
const displayed = (now: string) =>
  "case when r.due_at is not null and r.blocked is null and r.due_at <= " +
  `${now} and (r.lease_until is null or r.lease_until <= ${now}) then 'QUEUED' else r.status end`;

/** Newest first: row keys rise with creation. */
export async function listRuns(context: Context, query: RunQuery): Promise<RunPage> {
  const now = isWithOpen(query) ? await context.clock.now(context.driver) : 0;
  const { text, parameters } = statementOf(context.schema, query, now);
  const rows = await context.driver.query(text, parameters);
  const found = rows.map(storedRowOf);
  const page = found.slice(0, query.limit);
  const runs = page.map(({ stored }) => stored.run);
  const last = page.at(-1);
  return found.length > query.limit && last !== undefined
    ? { runs, nextCursor: `r${last.rk}` }
    : { runs };
}

function isWithOpen({ statuses }: RunQuery): boolean {
  return statuses !== undefined && !statuses.every(isFinal);
}

function statementOf(
  schema: string,
  query: RunQuery,
  now: number,
): { readonly text: string; readonly parameters: Parameter[] } {
  const parameters: Parameter[] = [];
  const place = (value: Parameter): string => `$${parameters.push(value)}`;
  const newest = `order by r.rk desc limit ${query.limit + 1}`;
  const select = `select ${runColumns} from`;
  const where = (...more: string[]): string => {
    const all = [...conditionsOf(query, place), ...more];
    return all.length === 0 ? "" : `where ${all.join(" and ")}`;
  };
  const runs = `${schema}.runs r`;
  const { statuses } = query;
  if (statuses === undefined) return { text: `${select} ${runs} ${where()} ${newest}`, parameters };
  if (!isWithOpen(query)) {
    // One status after the other, as each is in order in an index. An equality would let the planner go through all runs in their order instead.
    const ofOne = `select r.* from ${runs} ${where("r.due_at is null", "r.status between s.status and s.status")} order by r.status desc, r.rk desc limit ${query.limit + 1}`;
    const each = `unnest(${place(arrayText([...new Set(statuses)]))}::text[]) as s(status)`;
    return { text: `${select} ${each} cross join lateral (${ofOne}) as r ${newest}`, parameters };
  }
  const instant = `${place(String(now))}::bigint`;
  const shown = `${displayed(instant)} = any(${place(arrayText(statuses))}::text[])`;
  if (statuses.some(isFinal))
    return { text: `${select} ${runs} ${where(shown)} ${newest}`, parameters };
  // A run that is due has no live lease.
  const isQueued = statuses.includes("QUEUED");
  const among = isQueued
    ? "r.due_at is not null"
    : `(r.due_at > ${instant} or r.blocked is not null)`;
  // Gathered at first: on the way from the newest to the oldest there may be very many that have ended.
  const open = `select r.* from ${runs} ${where(among, shown)}`;
  return { text: `with r as materialized (${open}) ${select} r ${newest}`, parameters };
}

function conditionsOf(query: RunQuery, place: (value: Parameter) => string): string[] {
  const { cursor, jobIds, tag, eventId, parentId, createdFrom, createdTo } = query;
  const conditions: string[] = [];
  if (cursor !== undefined) conditions.push(`r.rk < ${place(rowOfCursor(cursor))}::bigint`);
  if (jobIds !== undefined) conditions.push(`r.job_id = any(${place(arrayText(jobIds))}::text[])`);
  if (tag !== undefined) conditions.push(`r.tags @> array[${place(tag)}::text]`);
  if (eventId !== undefined) conditions.push(`r.event_id = ${place(eventId)}`);
  if (parentId !== undefined) conditions.push(`r.parent_id = ${place(parentId)}`);
  if (createdFrom !== undefined)
    conditions.push(`r.created_at >= ${place(String(createdFrom))}::bigint`);
  if (createdTo !== undefined)
    conditions.push(`r.created_at < ${place(String(createdTo))}::bigint`);
  if (query.internal !== true) conditions.push("not r.internal");
  if (query.blocked !== undefined)
    conditions.push(`r.blocked is ${query.blocked ? "not " : ""}null`);
  return conditions;
}

function rowOfCursor(cursor: string): string {
  const rk = /^r(\d{1,18})$/.exec(cursor)?.[1];
  if (rk !== undefined) return rk;
  throw new StorageError("STORAGE_INVALID", "The cursor is not one that listRuns gave.");
}
