import type { CommitResult, RunWrite, TaskRecord, TaskWrite } from "../../core/storage.js";
import { hasRecordsOnly } from "../../core/write-verdict.js";
import { arrayText } from "./array.js";
import { type Column, cellsOf } from "./column.js";
import type { Context } from "./context.js";
import type { Parameter } from "./driver.js";
import { type Equal, type HeldWrite, storeHeld } from "./held-writes.js";
import { answerOf, isJoinableWrite, type RecordWrite } from "./record-writes.js";
import { formOf, recordColumns } from "./task-row.js";

type Replacement = TaskWrite & { readonly replaces: number };

/**
 * One record that takes the place of the run's record before it, perhaps with new ones behind it: a wait is over, or a
 * task is tried again. Like new records they need no look at the run or at the record; the old row becomes the new one.
 */
export interface ReplacingWrite extends RecordWrite {
  readonly tasks: readonly [Replacement, ...TaskWrite[]];
}

export function isReplacingWrite(write: RunWrite): write is ReplacingWrite {
  const { guard, tasks = [], logs } = write;
  const [first, ...further] = tasks;
  return (
    first?.replaces !== undefined &&
    further.every(({ replaces }) => replaces === undefined) &&
    logs === undefined &&
    hasRecordsOnly(write) &&
    guard.epoch !== undefined &&
    guard.statuses === undefined &&
    guard.inbox === undefined
  );
}

/** With the write, which need not be of records only. */
export interface WithReplacement extends RunWrite {
  readonly tasks: readonly [Replacement, ...TaskWrite[]];
}

type ReplacementColumn = Column<HeldWrite<WithReplacement>>;

const ofRecord = ({ name, type, cell }: Column<TaskRecord>): ReplacementColumn => ({
  name: `task_${name}`,
  type,
  cell: ({ write }) => cell(write.tasks[0]),
});

/** What the row becomes. */
const changedColumns = recordColumns.filter(({ name }) => name !== "path");

/** Of the table `held`. */
export const replacementColumns: readonly ReplacementColumn[] = [
  { name: "replaces", type: "integer", cell: ({ write }) => write.tasks[0].replaces },
  ...recordColumns.map(ofRecord),
];

const changes = [
  "write_id = h.write_id",
  ...cellsOf(changedColumns.map(ofRecord), "h").map(
    (cell, index) => `${changedColumns[index]?.name} = ${cell}`,
  ),
].join(", ");

/** The table `replaced`: of `held` what had the record that it replaces. */
export function replacedAs(schema: string, equal: Equal): string {
  return (
    `replaced as (update ${schema}.tasks t set ${changes} from held h ` +
    `where ${equal("t.rk", "rk", "held", "h")} and ${equal("t.seq", "replaces", "held", "h")} ` +
    "and t.path = h.task_path and t.status <> 'COMPLETED' returning h.*)"
  );
}

/** Answers into `known`. What is not as it was known to be gets no answer. */
export async function storeReplacements(
  context: Context,
  writes: readonly ReplacingWrite[],
  known: Map<RunWrite, CommitResult>,
): Promise<void> {
  const held = writes.flatMap((write): HeldWrite<ReplacingWrite>[] => {
    const lease = context.held.of(write.runId, write.guard.epoch);
    const areNext = context.paths.areNext(write) && isJoinableWrite(write);
    return lease !== undefined && areNext ? [{ write, lease }] : [];
  });
  for (const { write, lease } of await replaceAll(context, held)) known.set(write, answerOf(lease));
}

function replaceAll(
  context: Context,
  writes: readonly HeldWrite<ReplacingWrite>[],
): Promise<readonly HeldWrite<ReplacingWrite>[]> {
  const { schema } = context;
  const added = addedBehind(schema, writes);
  return storeHeld(context, {
    writes,
    columns: replacementColumns,
    lock: "share",
    body: (equal, from) => replacedAs(schema, equal) + added.as(from),
    more: added.parameters,
    stored: "replaced",
  });
}

interface Added {
  /** A table that nobody reads, with a comma before it. */
  as(from: number): string;
  readonly parameters: readonly Parameter[];
}

const nothing: Added = { as: () => "", parameters: [] };

/** The records that come with those which replace one. */
function addedBehind(schema: string, writes: readonly HeldWrite<ReplacingWrite>[]): Added {
  const further = writes.flatMap(({ write: { tasks } }, index) =>
    tasks.slice(1).map((task) => ({ task, place: index + 1 })),
  );
  const tasks = further.map(({ task }) => task);
  const [first] = tasks;
  if (first === undefined) return nothing;
  const form = formOf(first, tasks);
  return {
    as: (from) =>
      `, added as (insert into ${schema}.tasks (rk, write_id, ${form.columns}) select p.rk, p.write_id, ${form.cells(from + 1)} ` +
      `from ${form.table(from + 1, `$${from}::integer[]`)} join replaced p on p.place = u.number)`,
    parameters: [
      arrayText(further.map(({ place }) => place)),
      ...form.parametersOfMany(first, tasks),
    ],
  };
}
