import { storedTask } from "../../core/run-tables.js";
import type { CommitResult, RunWrite, TaskWrite } from "../../core/storage.js";
import { commitResult, hasRecordsOnly } from "../../core/write-verdict.js";
import { arrayText } from "./array.js";
import { isJoinable, joinedAt, joinedTexts } from "./column.js";
import type { Context } from "./context.js";
import type { Lease } from "./held-runs.js";
import { insertLinesOfHeld, isJoinableLine, parametersOfHeld } from "./logs.js";
import { formOf, isJoinableTask } from "./task-row.js";

/**
 * Writes that only add task records, and log lines with them, which is what
 * most are. They need no look before they are written: one statement checks the
 * guard, holds the run row (contract S2) and inserts, so it is one message and
 * one flush.
 *
 * A unique violation undoes the whole statement: then a record is there already,
 * as after a lost answer, and the general way decides what that means.
 */
export interface RecordWrite extends RunWrite {
  readonly guard: { readonly epoch: number };
  readonly tasks: readonly [TaskWrite, ...TaskWrite[]];
}

export function isRecordWrite(write: RunWrite): write is RecordWrite {
  const { guard, runId, writeId, tasks = [], logs = [] } = write;
  return (
    hasRecordsOnly(write) &&
    guard.epoch !== undefined &&
    guard.statuses === undefined &&
    guard.inbox === undefined &&
    tasks.every(({ replaces }) => replaces === undefined) &&
    [runId, writeId].every(isJoinable) &&
    tasks.every(isJoinableTask) &&
    logs.every(isJoinableLine)
  );
}

type Known = Map<RunWrite, CommitResult>;

/**
 * Answers into `known`. Nothing is written of a write whose guard does not hold or whose run somebody else has locked,
 * and it gets no answer.
 */
export async function storeRecords(
  context: Context,
  writes: readonly RecordWrite[],
  known: Known,
): Promise<void> {
  const [only, ...others] = writes;
  if (only === undefined) return;
  const isLone = others.length === 0 && only.tasks.length === 1 && only.logs === undefined;
  const lease = isLone ? context.held.of(only.runId, only.guard.epoch) : undefined;
  if (lease === undefined) await storeMany(context, [only, ...others], known);
  else await storeOne(context, only, lease, known);
}

/** Nobody else writes records alone; the general way would know what to make of it. */
const held = "r.status = 'EXECUTING' and r.lease_until is not null";

/**
 * The form with arrays takes half as long again for one record, and so does one
 * that answers: instead it has no effect unless the answer would be the known one.
 */
async function storeOne(
  { driver, schema }: Context,
  write: RecordWrite,
  lease: Lease,
  known: Known,
): Promise<void> {
  const { epoch } = write.guard;
  const task = storedTask(write.tasks[0], write.writeId);
  const form = formOf([task]);
  const inserted = await driver.insert(
    `insert into ${schema}.tasks (rk, ${form.columns}) select r.rk, ${form.values(4)} from ${schema}.runs r ` +
      `where r.id = $1 and r.epoch = $2::integer and r.inbox = $3::integer and ${held} for share skip locked`,
    [write.runId, String(epoch), String(lease.inbox), ...form.parameters(task)],
  );
  if (inserted === 1) known.set(write, commitResult("ok", { ...lease, status: "EXECUTING" }));
}

async function storeMany(
  { driver, schema }: Context,
  writes: readonly RecordWrite[],
  known: Known,
): Promise<void> {
  const places: number[] = [];
  const [first, ...others] = writes.flatMap((write, index) =>
    write.tasks.map((task) => {
      places.push(index + 1);
      return storedTask(task, write.writeId);
    }),
  );
  if (first === undefined) return;
  const lines = writes.flatMap(({ logs = [] }, index) =>
    logs.map((line) => ({ place: index + 1, line })),
  );
  const form = formOf([first, ...others]);
  const logged =
    lines.length === 0 ? "" : `, logged as (${insertLinesOfHeld(schema, 4 + form.width)})`;
  const [row] = await driver.query(
    "with held as materialized (select w.place, w.epoch, r.rk, r.inbox, r.lease_until " +
      `from unnest(${joinedAt(1)}, $2::integer[]) with ordinality as w(id, epoch, place) ` +
      // One by one: a join might read the whole table, see planByIndexes.
      `cross join lateral (select r.rk, r.inbox, r.lease_until from ${schema}.runs r ` +
      `where r.id = w.id and r.epoch = w.epoch and ${held} for share skip locked) as r), ` +
      `added as (insert into ${schema}.tasks (rk, ${form.columns}) select h.rk, ${form.cells(4)} ` +
      `from ${form.table(4, "$3::integer[]")} join held h on h.place = u.place)${logged} ` +
      "select string_agg(h.place || ' ' || h.inbox || ' ' || h.lease_until, ',') from held h",
    [
      joinedTexts(writes.map(({ runId }) => runId)),
      arrayText(writes.map(({ guard }) => guard.epoch)),
      arrayText(places),
      ...form.parametersOfMany([first, ...others]),
      ...(lines.length === 0 ? [] : parametersOfHeld(lines)),
    ],
  );
  // One row: what a client makes of each costs more than its text.
  for (const answer of row?.[0]?.split(",") ?? []) {
    const [place = 0, inbox = 0, leaseUntil = 0] = answer.split(" ").map(Number);
    const write = writes[place - 1];
    if (write === undefined) continue;
    const { epoch } = write.guard;
    known.set(write, commitResult("ok", { epoch, status: "EXECUTING", inbox, leaseUntil }));
  }
}
