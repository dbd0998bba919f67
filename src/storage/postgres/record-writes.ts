import { storedTask } from "../../core/run-tables.js";
import type { CommitResult, RunWrite, TaskWrite } from "../../core/storage.js";
import { commitResult, hasRecordsOnly } from "../../core/write-verdict.js";
import { arrayText } from "./array.js";
import type { Context } from "./context.js";
import type { Row, Session } from "./driver.js";
import {
  newTaskArrays,
  newTaskCells,
  newTaskColumns,
  newTaskValues,
  unnestedTasks,
} from "./task-row.js";

/**
 * Writes that only add task records, which is what most are. They need no look
 * before they are written: one statement checks the guard, holds the run row
 * (contract S2) and inserts, so it is one message and one flush.
 *
 * A unique violation undoes the whole statement: then a record is there already,
 * as after a lost answer, and the general way decides what that means.
 */
export interface RecordWrite extends RunWrite {
  readonly guard: { readonly epoch: number };
  readonly tasks: readonly TaskWrite[];
}

export function isRecordWrite(write: RunWrite): write is RecordWrite {
  const { guard, tasks = [], logs } = write;
  return (
    hasRecordsOnly(write) &&
    logs === undefined &&
    guard.epoch !== undefined &&
    guard.statuses === undefined &&
    guard.inbox === undefined &&
    tasks.every(({ replaces }) => replaces === undefined)
  );
}

/**
 * Answers into `known`. Nothing is written of a write whose guard does not hold or whose run somebody else has locked,
 * and it gets no answer.
 */
export async function storeRecords(
  context: Context,
  session: Session,
  writes: readonly RecordWrite[],
  known: Map<RunWrite, CommitResult>,
): Promise<void> {
  const [only] = writes;
  if (only === undefined) return;
  const [task] = only.tasks;
  const isLone = writes.length === 1 && task !== undefined && only.tasks.length === 1;
  const rows = await (isLone
    ? storeOne(context, session, only, task)
    : storeMany(context, session, writes));
  for (const row of rows) {
    const [place = 0, inbox = 0, leaseUntil = 0] = (row[0] ?? "").split(" ").map(Number);
    const write = writes[place - 1];
    if (write === undefined) continue;
    const { epoch } = write.guard;
    known.set(write, commitResult("ok", { epoch, status: "EXECUTING", inbox, leaseUntil }));
  }
}

/** Nobody else writes records alone; the general way would know what to make of it. */
const held = "r.status = 'EXECUTING' and r.lease_until is not null";
/** The form with arrays takes half as long again for one record. */
function storeOne(
  { schema }: Context,
  session: Session,
  write: RecordWrite,
  task: TaskWrite,
): Promise<readonly Row[]> {
  return session.query(
    `with held as (select r.rk, r.inbox, r.lease_until from ${schema}.runs r ` +
      `where r.id = $1 and r.epoch = $2::integer and ${held} for share skip locked), ` +
      `added as (insert into ${schema}.tasks (rk, ${newTaskColumns}) select h.rk, ${newTaskValues(3)} from held h) ` +
      "select '1 ' || h.inbox || ' ' || h.lease_until from held h",
    [write.runId, String(write.guard.epoch), ...newTaskCells(storedTask(task, write.writeId))],
  );
}

function storeMany(
  { schema }: Context,
  session: Session,
  writes: readonly RecordWrite[],
): Promise<readonly Row[]> {
  const places: number[] = [];
  const tasks = writes.flatMap((write, index) =>
    write.tasks.map((task) => {
      places.push(index + 1);
      return storedTask(task, write.writeId);
    }),
  );
  return session.query(
    "with held as materialized (select w.place, r.rk, r.inbox, r.lease_until " +
      "from unnest($1::text[], $2::integer[]) with ordinality as w(id, epoch, place) " +
      // One by one: a join might read the whole table, see planByIndexes.
      `cross join lateral (select r.rk, r.inbox, r.lease_until from ${schema}.runs r ` +
      `where r.id = w.id and r.epoch = w.epoch and ${held} for share skip locked) as r), ` +
      `added as (insert into ${schema}.tasks (rk, ${newTaskColumns}) select h.rk, ${unnestedTasks.columns} ` +
      `from unnest($3::integer[], ${unnestedTasks.parameters(4)}) as u(place, ${newTaskColumns}) join held h on h.place = u.place) ` +
      "select h.place || ' ' || h.inbox || ' ' || h.lease_until from held h",
    [
      arrayText(writes.map(({ runId }) => runId)),
      arrayText(writes.map(({ guard }) => guard.epoch)),
      arrayText(places),
      ...newTaskArrays(tasks),
    ],
  );
}
