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
  const { guard, tasks = [] } = write;
  return (
    hasRecordsOnly(write) &&
    guard.epoch !== undefined &&
    guard.statuses === undefined &&
    guard.inbox === undefined &&
    tasks.every(({ replaces }) => replaces === undefined)
  );
}

/** They travel together with others in few parameters. */
export function isJoinableWrite({ runId, writeId, tasks, logs = [] }: RecordWrite): boolean {
  return (
    isJoinable(runId) &&
    isJoinable(writeId) &&
    tasks.every(isJoinableTask) &&
    logs.every(isJoinableLine)
  );
}

type Known = Map<RunWrite, CommitResult>;

interface HeldWrite {
  readonly write: RecordWrite;
  readonly lease: Lease;
}

/**
 * Answers into `known`. Nothing is written of a write whose guard does not hold, whose run somebody else has locked
 * or of which there is news, and it gets no answer.
 */
export async function storeRecords(
  context: Context,
  writes: readonly RecordWrite[],
  known: Known,
): Promise<void> {
  const [only, ...others] = writes.flatMap((write): HeldWrite[] => {
    const lease = context.held.of(write.runId, write.guard.epoch);
    return lease === undefined ? [] : [{ write, lease }];
  });
  if (only === undefined) return;
  const stored = await storeMany(context, [only, ...others]);
  for (const { write, lease } of stored)
    known.set(write, commitResult("ok", { ...lease, status: "EXECUTING" }));
}

/** Of a run `r`. Nobody else writes records alone; the general way would know what to make of it. */
export const isHeld = "r.status = 'EXECUTING' and r.lease_until is not null";

async function storeMany(
  { driver, schema }: Context,
  writes: readonly HeldWrite[],
): Promise<readonly HeldWrite[]> {
  const places: number[] = [];
  const [first, ...others] = writes.flatMap(({ write }, index) =>
    write.tasks.map((task) => {
      places.push(index + 1);
      return storedTask(task, write.writeId);
    }),
  );
  if (first === undefined) return [];
  const lines = writes.flatMap(({ write: { logs = [] } }, index) =>
    logs.map((line) => ({ place: index + 1, line })),
  );
  const form = formOf([first, ...others]);
  const logged =
    lines.length === 0 ? "" : `, logged as (${insertLinesOfHeld(schema, 5 + form.width)})`;
  const [row] = await driver.query(
    "with held as materialized (select w.place, w.epoch, r.rk " +
      `from unnest(${joinedAt(1)}, $2::integer[], $3::integer[]) with ordinality as w(id, epoch, inbox, place) ` +
      // One by one: a join might read the whole table, see planByIndexes.
      `cross join lateral (select r.rk from ${schema}.runs r ` +
      `where r.id = w.id and r.epoch = w.epoch and r.inbox = w.inbox and ${isHeld} for share skip locked) as r), ` +
      `added as (insert into ${schema}.tasks (rk, ${form.columns}) select h.rk, ${form.cells(5)} ` +
      `from ${form.table(5, "$4::integer[]")} join held h on h.place = u.place)${logged} ` +
      "select string_agg(h.place::text, ',') from held h",
    [
      joinedTexts(writes.map(({ write }) => write.runId)),
      arrayText(writes.map(({ lease }) => lease.epoch)),
      arrayText(writes.map(({ lease }) => lease.inbox)),
      arrayText(places),
      ...form.parametersOfMany([first, ...others]),
      ...(lines.length === 0 ? [] : parametersOfHeld(lines)),
    ],
  );
  // One row: what a client makes of each costs more than its text.
  const stored = (row?.[0] ?? "").split(",").map((place) => writes[Number(place) - 1]);
  return stored.filter((write) => write !== undefined);
}
