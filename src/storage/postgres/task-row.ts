import type { StoredTask } from "../../core/run-tables.js";
import type { TaskRecord, TaskStatus, TaskWrite } from "../../core/storage.js";
import { arrayText } from "./array.js";
import {
  arrayParametersOf,
  arraysOf,
  type Column,
  cellsOf,
  isJoinable,
  joinedOf,
  joinedParametersOf,
  namesOf,
  parametersOf,
  placesOf,
} from "./column.js";
import type { Parameter, Row } from "./driver.js";
import { RowReader } from "./row-reader.js";

/** Of a table with the alias `t`. */
export const taskColumns =
  "t.rk::text, t.path, t.seq::text, t.kind, t.status, t.attempts::text, t.output, t.error, t.started_at::text, " +
  "t.finished_at::text, t.wake_at::text, t.data, array_to_json(t.topics)::text, t.filter, t.write_id";

export function taskOf(row: Row): { readonly rk: string; readonly task: StoredTask } {
  const read = new RowReader(row);
  const rk = read.string();
  const task = {
    path: read.string(),
    seq: read.number(),
    kind: read.string(),
    status: read.string() as TaskStatus,
    attempts: read.number(),
    output: read.stringOrNull(),
    error: read.stringOrNull(),
    startedAt: read.number(),
    finishedAt: read.numberOrNull(),
    wakeAt: read.numberOrNull(),
    data: read.stringOrNull(),
  };
  const topics = read.stringOrNull();
  const filter = read.stringOrNull();
  return {
    rk,
    task: {
      ...task,
      ...(topics === null ? undefined : { topics: JSON.parse(topics) as string[] }),
      ...(filter === null && topics === null ? undefined : { filter }),
      writeId: read.string(),
    },
  };
}

type TaskColumn = Column<TaskRecord>;

/** Of records of one kind these are mostly the same. */
const shared: readonly TaskColumn[] = [
  { name: "kind", type: "text", cell: ({ kind }) => kind },
  { name: "status", type: "text", cell: ({ status }) => status },
  { name: "attempts", type: "integer", cell: ({ attempts }) => attempts },
];

const own: readonly TaskColumn[] = [
  { name: "seq", type: "integer", cell: ({ seq }) => seq },
  { name: "path", type: "text", cell: ({ path }) => path },
  { name: "started_at", type: "bigint", cell: ({ startedAt }) => startedAt },
  { name: "finished_at", type: "bigint", cell: ({ finishedAt }) => finishedAt },
  { name: "output", type: "text", cell: ({ output }) => output },
];

/** Of completed tasks these are mostly empty. */
const further: readonly TaskColumn[] = [
  { name: "wake_at", type: "bigint", cell: ({ wakeAt }) => wakeAt },
  {
    name: "topics",
    type: "text[]",
    cell: ({ topics }) => (topics === undefined ? null : arrayText(topics)),
  },
  { name: "filter", type: "text", cell: ({ filter }) => filter ?? null },
  { name: "data", type: "text", cell: ({ data }) => data },
  { name: "error", type: "text", cell: ({ error }) => error },
];

/** All that a record says. */
export const recordColumns: readonly TaskColumn[] = [...shared, ...own, ...further];

/** All but the key of the run. */
const stored: readonly Column<StoredTask>[] = [
  ...recordColumns,
  { name: "write_id", type: "text", cell: ({ writeId }) => writeId },
];

/** One record. */
export const newTask = {
  columns: namesOf(stored),
  values: (from: number) => placesOf(stored, from).join(", "),
  parameters: (task: StoredTask) => parametersOf(stored, task),
};

interface FormParts {
  /** Columns that the statement itself fills. */
  readonly fixed: Readonly<Record<string, string>>;
  /** What is the same in all records is sent once. */
  readonly once: readonly TaskColumn[];
  readonly each: readonly TaskColumn[];
}

/** What records bring, in few parameters; whose they are and which write brought them comes on top. Columns that are left out are null. */
export class TaskForm {
  readonly columns: string;
  /** How many parameters it takes. */
  readonly width: number;
  readonly #parts: FormParts;

  constructor(parts: FormParts) {
    const { fixed, once, each } = parts;
    this.#parts = parts;
    this.columns = [...Object.keys(fixed), namesOf([...once, ...each])].join(", ");
    this.width = once.length + each.length;
  }

  /** One record, from the parameter `$from` on. */
  values(from: number): string {
    const { fixed, once, each } = this.#parts;
    return [...Object.values(fixed), ...placesOf([...once, ...each], from)].join(", ");
  }

  parameters(task: TaskRecord): Parameter[] {
    const { once, each } = this.#parts;
    return parametersOf([...once, ...each], task);
  }

  /** Many: a table with the alias `u`, in which the column `number` stands beside those of the records. */
  table(from: number, numbers: string): string {
    const { once, each } = this.#parts;
    const columns = [numbers, ...joinedOf(each, from + once.length)].join(", ");
    return `unnest(${columns}) as u(number, ${namesOf(each)})`;
  }

  /** What is inserted of a row of that table. */
  cells(from: number): string {
    const { fixed, once, each } = this.#parts;
    return [...Object.values(fixed), ...placesOf(once, from), ...cellsOf(each, "u")].join(", ");
  }

  parametersOfMany(first: TaskRecord, tasks: readonly TaskRecord[]): Parameter[] {
    const { once, each } = this.#parts;
    return [...parametersOf(once, first), ...joinedParametersOf(each, tasks)];
  }
}

/** Of tasks that were completed in their first attempt. */
const usualForm = new TaskForm({
  fixed: { kind: "'task'", status: "'COMPLETED'", attempts: "1" },
  once: [],
  each: own,
});
const plainForm = new TaskForm({ fixed: {}, once: shared, each: own });
const fullForm = new TaskForm({ fixed: {}, once: [], each: recordColumns });

/** The smallest in which these fit, of which `first` is one. */
export function formOf(first: TaskRecord, tasks: readonly TaskRecord[]): TaskForm {
  for (const task of tasks) if (!isPlainAs(first, task)) return fullForm;
  return first.kind === "task" && first.status === "COMPLETED" && first.attempts === 1
    ? usualForm
    : plainForm;
}

function isPlainAs(first: TaskRecord, task: TaskRecord): boolean {
  for (const { cell } of further) if (cell(task) !== null) return false;
  if (task === first) return true;
  for (const { cell } of shared) if (cell(task) !== cell(first)) return false;
  return true;
}

export function isJoinableTask(task: TaskWrite): boolean {
  return (
    isJoinable(task.path) &&
    isJoinable(task.output) &&
    isJoinable(task.kind) &&
    isJoinable(task.data) &&
    isJoinable(task.error) &&
    isJoinable(task.filter)
  );
}

export function insertTasks(schema: string): string {
  return (
    `insert into ${schema}.tasks (rk, ${namesOf(stored)}) select u.rk, ${cellsOf(stored, "u").join(", ")} ` +
    `from unnest($1::bigint[], ${arraysOf(stored, 2).join(", ")}) as u(rk, ${namesOf(stored)})`
  );
}

export function taskParameters(
  rows: readonly { readonly rk: string; readonly task: StoredTask }[],
): Parameter[] {
  const tasks = rows.map(({ task }) => task);
  return [arrayText(rows.map(({ rk }) => rk)), ...arrayParametersOf(stored, tasks)];
}
