import { taskRecord } from "../../core/run-tables.js";
import type {
  RunRecord,
  Signal,
  StoredLogLine,
  TaskPage,
  WaitingPage,
  WaitingTask,
} from "../../core/storage.js";
import { arrayText } from "./array.js";
import { signalsOf, tasksAfter } from "./claimed.js";
import type { Context } from "./context.js";
import { logColumns, logLineOf } from "./logs.js";
import { RowReader } from "./row-reader.js";
import { runColumns, storedRowOf } from "./run-row.js";
import { taskColumns, taskOf } from "./task-row.js";

export async function getRuns(
  { driver, schema }: Context,
  ids: readonly string[],
): Promise<(RunRecord | undefined)[]> {
  if (ids.length === 0) return [];
  const rows = await driver.query(
    `select r.* from unnest($1::text[]) as i(id) cross join lateral (select ${runColumns} from ${schema}.runs r where r.id = i.id limit 1) as r`,
    [arrayText([...new Set(ids)])],
  );
  const runs = new Map(rows.map(storedRowOf).map(({ stored }) => [stored.run.id, stored.run]));
  return ids.map((id) => runs.get(id));
}

async function rowKey({ driver, schema }: Context, runId: string): Promise<string | undefined> {
  const [row] = await driver.query(`select rk::text from ${schema}.runs where id = $1`, [runId]);
  return row?.[0] ?? undefined;
}

export async function listTasks(
  context: Context,
  runId: string,
  after: number,
  budget: number,
): Promise<TaskPage> {
  const rk = await rowKey(context, runId);
  if (rk === undefined) return { tasks: [], complete: true };
  return tasksAfter(context, context.driver, rk, { after, budget });
}

export async function listSignals(context: Context, runId: string): Promise<Signal[]> {
  const rk = await rowKey(context, runId);
  if (rk === undefined) return [];
  return [...(await signalsOf(context, context.driver, { rk }))];
}

export async function listLogs(
  context: Context,
  runId: string,
  { after = 0, limit }: { readonly after?: number; readonly limit: number },
): Promise<StoredLogLine[]> {
  const rk = await rowKey(context, runId);
  if (rk === undefined) return [];
  const { driver, schema } = context;
  const rows = await driver.query(
    `select ${logColumns} from ${schema}.logs l where l.rk = $1::bigint and l.position > $2::bigint order by l.position limit $3::bigint`,
    [rk, String(after), String(limit)],
  );
  return rows.map(logLineOf);
}

/** In the order of bytes, by which the place is compared after which a page begins. */
export async function listWaiting(
  { driver, schema }: Context,
  topics: readonly string[],
  { after, limit }: WaitingPage,
): Promise<WaitingTask[]> {
  const rows = await driver.query(
    `select r.id, r.job_id, r.created_at::text, ${taskColumns} from ${schema}.tasks t join ${schema}.runs r on r.rk = t.rk ` +
      "where t.topics && $1::text[] and t.status = 'WAITING' and r.due_at is not null " +
      'and (r.id collate "C", t.path collate "C") > ($2, $3) order by r.id collate "C", t.path collate "C" limit $4::bigint',
    [arrayText(topics), after?.runId ?? "", after?.path ?? "", String(limit)],
  );
  return rows.map((row) => {
    const read = new RowReader(row);
    const run = { runId: read.string(), jobId: read.string(), createdAt: read.number() };
    return { ...run, task: taskRecord(taskOf(row.slice(3)).task) };
  });
}
