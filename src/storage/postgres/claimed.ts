import { type StoredTask, taskRecord, taskSize } from "../../core/run-tables.js";
import type { ClaimedRun, Signal, TaskRecord } from "../../core/storage.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Session } from "./driver.js";
import { RowReader } from "./row-reader.js";
import type { StoredRow } from "./run-row.js";
import { taskColumns, taskOf } from "./task-row.js";

/** So many records at a time, as long as the budget lasts. */
const PAGE = 1_000;
/** See `taskSize`. */
const RECORD_BYTES = 64;

/** What is answered of the runs that a claim took. */
export async function claimedRuns(
  context: Context,
  session: Session,
  rows: readonly StoredRow[],
  tasks: {
    readonly budget: number;
    /** A run that has never been held has none. */
    mayHaveRecords(row: StoredRow): boolean;
  },
): Promise<ClaimedRun[]> {
  const told = rows.filter(({ stored }) => stored.run.inbox > 0);
  const signals = await signalsOf(context, session, told);
  const replayed = rows.filter(
    (row) => row.stored.claim?.kept !== true && tasks.mayHaveRecords(row),
  );
  const counts = await logCounts(context, session, replayed);
  const pages = await firstPages(context, session, replayed, tasks.budget);
  return rows.map(({ rk, stored }) => {
    const page = pages.get(rk);
    return {
      run: stored.run,
      signals: signals.get(rk) ?? [],
      tasks: page?.tasks ?? [],
      tasksComplete: page?.complete ?? true,
      kept: stored.claim?.kept === true,
      logCounts: counts.get(rk) ?? {},
    };
  });
}

interface FirstPage {
  readonly tasks: readonly TaskRecord[];
  readonly complete: boolean;
}

/** All records of the first runs, as long as they fit, then what still fits of the next one, and none of the others. */
async function firstPages(
  context: Context,
  session: Session,
  rows: readonly StoredRow[],
  budget: number,
): Promise<ReadonlyMap<string, FirstPage>> {
  const pages = new Map<string, FirstPage>();
  if (rows.length === 0) return pages;
  const sizes = await sizesOf(context, session, rows);
  const fitting: StoredRow[] = [];
  let left = budget;
  for (const row of rows) {
    const size = sizes.get(row.rk) ?? 0;
    if (size > left) break;
    left -= size;
    fitting.push(row);
  }
  const found = await allTasksOf(context, session, fitting);
  for (const { rk } of rows) pages.set(rk, { tasks: [], complete: !sizes.has(rk) });
  for (const { rk } of fitting) pages.set(rk, { tasks: found.get(rk) ?? [], complete: true });
  const next = rows[fitting.length];
  if (next === undefined) return pages;
  const some = await tasksOf(context, session, next.rk, { after: 0, budget: left, atLeast: 0 });
  return pages.set(next.rk, some);
}

/** An upper bound of what `taskSize` says, without reading the texts; only of runs that have records. */
async function sizesOf(
  { schema }: Context,
  session: Session,
  rows: readonly StoredRow[],
): Promise<ReadonlyMap<string, number>> {
  const sizes = await session.query(
    `select rk::text, (count(*) * ${RECORD_BYTES} + sum(octet_length(path) + coalesce(octet_length(output), 0) + coalesce(octet_length(error), 0) + ` +
      `coalesce(octet_length(data), 0) + coalesce(octet_length(filter), 0)))::text from ${schema}.tasks where rk = any($1::bigint[]) group by rk`,
    [arrayText(rows.map(({ rk }) => rk))],
  );
  return new Map(sizes.map(([rk, bytes]) => [rk ?? "", Number(bytes)]));
}

async function allTasksOf(
  { schema }: Context,
  session: Session,
  rows: readonly StoredRow[],
): Promise<ReadonlyMap<string, TaskRecord[]>> {
  const found = new Map<string, TaskRecord[]>();
  if (rows.length === 0) return found;
  const tasks = await session.query(
    `select ${taskColumns} from ${schema}.tasks t where t.rk = any($1::bigint[]) order by t.rk, t.seq`,
    [arrayText(rows.map(({ rk }) => rk))],
  );
  for (const { rk, task } of tasks.map(taskOf)) {
    const ofRun = found.get(rk);
    if (ofRun === undefined) found.set(rk, [taskRecord(task)]);
    else ofRun.push(taskRecord(task));
  }
  return found;
}

/** Records after a seq while they fit into the budget, `atLeast` of them even if they do not. */
export async function tasksOf(
  { schema }: Context,
  session: Session,
  rk: string,
  {
    after,
    budget,
    atLeast,
  }: { readonly after: number; readonly budget: number; readonly atLeast: 0 | 1 },
): Promise<{ readonly tasks: readonly TaskRecord[]; readonly complete: boolean }> {
  const tasks: TaskRecord[] = [];
  let left = budget;
  for (let last = after; ; ) {
    const rows = await session.query(
      `select ${taskColumns} from ${schema}.tasks t where t.rk = $1::bigint and t.seq > $2::integer order by t.seq limit ${PAGE}`,
      [rk, String(last)],
    );
    for (const task of rows.map((row): StoredTask => taskOf(row).task)) {
      left -= taskSize(task);
      if (left < 0 && tasks.length >= atLeast) return { tasks, complete: false };
      tasks.push(taskRecord(task));
      last = task.seq;
    }
    if (rows.length < PAGE) return { tasks, complete: true };
  }
}

/** What is unread, and watches, oldest first. */
export async function signalsOf(
  { schema }: Context,
  session: Session,
  rows: readonly Pick<StoredRow, "rk">[],
): Promise<ReadonlyMap<string, Signal[]>> {
  const found = new Map<string, Signal[]>();
  if (rows.length === 0) return found;
  const signals = await session.query(
    `select s.rk::text, s.id, s.topic, s.ref from ${schema}.signals s where s.rk = any($1::bigint[]) and s.unread order by s.position`,
    [arrayText(rows.map(({ rk }) => rk))],
  );
  for (const row of signals) {
    const read = new RowReader(row);
    const rk = read.string();
    const signal = { id: read.string(), topic: read.string(), ref: read.stringOrNull() };
    found.set(rk, [...(found.get(rk) ?? []), signal]);
  }
  return found;
}

async function logCounts(
  { schema }: Context,
  session: Session,
  rows: readonly StoredRow[],
): Promise<ReadonlyMap<string, Record<string, number>>> {
  const found = new Map<string, Record<string, number>>();
  if (rows.length === 0) return found;
  const counts = await session.query(
    `select rk::text, stream, count(*)::text from ${schema}.logs where rk = any($1::bigint[]) group by rk, stream`,
    [arrayText(rows.map(({ rk }) => rk))],
  );
  for (const [rk, stream, count] of counts) {
    const ofRun = found.get(rk ?? "") ?? {};
    ofRun[stream ?? ""] = Number(count);
    found.set(rk ?? "", ofRun);
  }
  return found;
}
