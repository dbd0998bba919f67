import type { CommitResult, RunWrite, TaskRecord, TaskWrite } from "../../core/storage.js";
import { hasRecordsOnly } from "../../core/write-verdict.js";
import {
  type Column,
  cellsOf,
  joinedOf,
  joinedParametersOf,
  namesOf,
  parametersOf,
  placesOf,
} from "./column.js";
import type { Context } from "./context.js";
import type { Row } from "./driver.js";
import { isUniqueViolation } from "./failure.js";
import type { Lease } from "./held-runs.js";
import { answerOf, isHeld, isJoinableWrite, type RecordWrite } from "./record-writes.js";
import { recordColumns } from "./task-row.js";

/**
 * One record that takes the place of the run's record before it, and nothing else: a wait is over, or a task is tried
 * again. Like new records it needs no look at the run or at the record; the old row becomes the new one.
 */
export interface ReplacingWrite extends RecordWrite {
  readonly tasks: readonly [TaskWrite & { readonly replaces: number }];
}

export function isReplacingWrite(write: RunWrite): write is ReplacingWrite {
  const { guard, tasks = [], logs } = write;
  const [task] = tasks;
  return (
    task?.replaces !== undefined &&
    tasks.length === 1 &&
    logs === undefined &&
    hasRecordsOnly(write) &&
    guard.epoch !== undefined &&
    guard.statuses === undefined &&
    guard.inbox === undefined
  );
}

interface Replacement {
  readonly write: ReplacingWrite;
  readonly lease: Lease;
}

type ReplacementColumn = Column<Replacement>;

const guards: readonly ReplacementColumn[] = [
  { name: "id", type: "text", cell: ({ write }) => write.runId },
  { name: "held_epoch", type: "integer", cell: ({ lease }) => lease.epoch },
  { name: "held_inbox", type: "integer", cell: ({ lease }) => lease.inbox },
  { name: "replaces", type: "integer", cell: ({ write }) => write.tasks[0].replaces },
];

const ofRecord = ({ name, type, cell }: Column<TaskRecord>): ReplacementColumn => ({
  name,
  type,
  cell: ({ write }) => cell(write.tasks[0]),
});

/** What the row becomes. */
const changed: readonly ReplacementColumn[] = [
  ...recordColumns.filter(({ name }) => name !== "path").map(ofRecord),
  { name: "write_id", type: "text", cell: ({ write }) => write.writeId },
];

const columns: readonly ReplacementColumn[] = [
  ...guards,
  ...recordColumns.filter(({ name }) => name === "path").map(ofRecord),
  ...changed,
];

/** Nothing is written of a write for which anything is not as this process knows it. Rows of runs are not waited for. */
function statement(schema: string, writes: string, isReplaced: string): string {
  const cells = cellsOf(changed, "h");
  const changes = changed.map(({ name }, index) => `${name} = ${cells[index]}`);
  return (
    `with held as materialized (select w.*, r.rk from ${writes} as w(${namesOf(columns)}, place) ` +
    `cross join lateral (select r.rk from ${schema}.runs r where r.id = w.id and r.epoch = w.held_epoch and r.inbox = w.held_inbox ` +
    `and ${isHeld} for share skip locked) as r), ` +
    `replaced as (update ${schema}.tasks t set ${changes.join(", ")} from held h ` +
    `where ${isReplaced} and t.path = h.path and t.status <> 'COMPLETED' returning h.place) ` +
    "select string_agg(p.place::text, ',') from replaced p"
  );
}

const oneWrite = `(select ${placesOf(columns, 1).join(", ")}, 1)`;
const manyWrites = `unnest(${joinedOf(columns, 1).join(", ")}) with ordinality`;

/**
 * Answers into `known`. What is not as it was known to be gets no answer, and neither does anything if a seq is taken:
 * then the general way decides what that means.
 */
export async function storeReplacements(
  context: Context,
  writes: readonly ReplacingWrite[],
  known: Map<RunWrite, CommitResult>,
): Promise<void> {
  const replacements = writes.flatMap((write): Replacement[] => {
    const lease = context.held.of(write.runId, write.guard.epoch);
    const isNext = context.paths.isNext(write) && isJoinableWrite(write);
    return lease !== undefined && isNext ? [{ write, lease }] : [];
  });
  if (replacements.length === 0) return;
  try {
    const [row] = await replaceAll(context, replacements);
    for (const place of (row?.[0] ?? "").split(",")) {
      const replacement = replacements[Number(place) - 1];
      if (replacement !== undefined) known.set(replacement.write, answerOf(replacement.lease));
    }
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
  }
}

function replaceAll(
  { driver, schema }: Context,
  replacements: readonly Replacement[],
): Promise<readonly Row[]> {
  const [only] = replacements;
  if (only !== undefined && replacements.length === 1) {
    // Not a join, which might read the whole table: see planByIndexes.
    const isReplaced =
      "t.rk = (select x.rk from held x) and t.seq = (select x.replaces from held x)";
    return driver.query(statement(schema, oneWrite, isReplaced), parametersOf(columns, only));
  }
  const text = statement(schema, manyWrites, "t.rk = h.rk and t.seq = h.replaces");
  const parameters = joinedParametersOf(columns, replacements);
  return driver.transaction((session) => session.query(text, parameters));
}
