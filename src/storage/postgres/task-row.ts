import type { StoredTask } from "../../core/run-tables.js";
import type { TaskStatus, TaskWrite } from "../../core/storage.js";
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

type TaskColumn = Column<StoredTask>;

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
  { name: "write_id", type: "text", cell: ({ writeId }) => writeId },
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

/** What a record brings, all but the key of its run. */
const written = [...shared, ...own, ...further];

/** One record. */
export const newTask = {
  columns: namesOf(written),
  values: (from: number) => placesOf(written, from).join(", "),
  parameters: (task: StoredTask) => parametersOf(written, task),
};

interface FormParts {
  /** Columns that the statement itself fills. */
  readonly fixed: Readonly<Record<string, string>>;
  /** What is the same in all records is sent once. */
  readonly once: readonly TaskColumn[];
  readonly each: readonly TaskColumn[];
}

/** Records in few parameters. Columns that are left out are null. */
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

  parameters(task: StoredTask): Parameter[] {
    const { once, each } = this.#parts;
    return parametersOf([...once, ...each], task);
  }

  /** Many: a table with the alias `u`, in which the column `place` stands beside those of the records. */
  table(from: number, places: string): string {
    const { once, each } = this.#parts;
    const columns = [places, ...joinedOf(each, from + once.length)].join(", ");
    return `unnest(${columns}) as u(place, ${namesOf(each)})`;
  }

  /** What is inserted of a row of that table. */
  cells(from: number): string {
    const { fixed, once, each } = this.#parts;
    return [...Object.values(fixed), ...placesOf(once, from), ...cellsOf(each, "u")].join(", ");
  }

  parametersOfMany(tasks: readonly [StoredTask, ...StoredTask[]]): Parameter[] {
    const { once, each } = this.#parts;
    return [...parametersOf(once, tasks[0]), ...joinedParametersOf(each, tasks)];
  }
}

/** Of tasks that were completed in their first attempt. */
const usualForm = new TaskForm({
  fixed: { kind: "'task'", status: "'COMPLETED'", attempts: "1" },
  once: [],
  each: own,
});
const plainForm = new TaskForm({ fixed: {}, once: shared, each: own });
const fullForm = new TaskForm({ fixed: {}, once: [], each: written });

/** The smallest in which these fit. */
export function formOf(tasks: readonly [StoredTask, ...StoredTask[]]): TaskForm {
  const [first] = tasks;
  const isPlain = tasks.every(
    (task) =>
      shared.every(({ cell }) => cell(task) === cell(first)) &&
      further.every(({ cell }) => cell(task) === null),
  );
  if (!isPlain) return fullForm;
  return first.kind === "task" && first.status === "COMPLETED" && first.attempts === 1
    ? usualForm
    : plainForm;
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
    `insert into ${schema}.tasks (rk, ${namesOf(written)}) select u.rk, ${cellsOf(written, "u").join(", ")} ` +
    `from unnest($1::bigint[], ${arraysOf(written, 2).join(", ")}) as u(rk, ${namesOf(written)})`
  );
}

export function taskParameters(
  rows: readonly { readonly rk: string; readonly task: StoredTask }[],
): Parameter[] {
  const tasks = rows.map(({ task }) => task);
  return [arrayText(rows.map(({ rk }) => rk)), ...arrayParametersOf(written, tasks)];
}
