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

/** What is answered of the runs that a claim took. */
export async function claimedRuns(
  context: Context,
  session: Session,
  rows: readonly StoredRow[],
  taskBudget: number,
): Promise<ClaimedRun[]> {
  const signals = await signalsOf(
    context,
    session,
    rows.filter(({ stored }) => stored.run.inbox > 0),
  );
  const started = rows.filter(({ stored }) => stored.claim?.kept !== true);
  const counts = await logCounts(context, session, started);
  let left = taskBudget;
  const answers: ClaimedRun[] = [];
  for (const { rk, stored } of rows) {
    const kept = stored.claim?.kept === true;
    const page = kept
      ? undefined
      : await tasksOf(context, session, rk, { after: 0, budget: left, atLeast: 0 });
    for (const task of page?.tasks ?? []) left -= taskSize(task);
    answers.push({
      run: stored.run,
      signals: signals.get(rk) ?? [],
      tasks: page?.tasks ?? [],
      tasksComplete: page?.complete ?? true,
      kept,
      logCounts: counts.get(rk) ?? {},
    });
  }
  return answers;
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
