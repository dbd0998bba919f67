import { decodeErrorRecord, fromErrorRecord } from "../core/error-record.js";
import { withoutPaths } from "../core/hidden-paths.js";
import { keyOfSegment, parentOf, pathSegments } from "../core/key.js";
import type { AttemptView, Run, TaskView } from "../core/run.js";
import { displayStatus, isFinal } from "../core/run-status.js";
import { NEVER, type RunRecord, type TaskRecord } from "../core/storage.js";
import { decodeTaskData, type TaskData } from "../core/task-data.js";
import type { Block } from "./block.js";
import type { Engine } from "./engine.js";

/** A run as people and programs read it. */
export async function viewRun(engine: Engine, run: RunRecord, now: number): Promise<Run> {
  const status = displayStatus(run, now);
  const error =
    run.blocked === null
      ? decodedError(run.error)
      : fromErrorRecord((JSON.parse(run.blocked) as Block).error);
  const waits =
    !isFinal(run.status) && run.status !== "EXECUTING" && run.dueAt !== null && run.dueAt !== NEVER;
  return {
    id: run.id,
    jobId: run.jobId,
    version: run.version,
    status,
    payload: run.payload === null ? undefined : await engine.codec.decode(run.payload),
    ...(run.status === "COMPLETED" && run.output !== null
      ? { output: await engine.codec.decode(run.output) }
      : undefined),
    ...(error === undefined ? undefined : { error }),
    tags: run.tags,
    priority: run.priority,
    isTest: run.isTest,
    eventId: run.eventId ?? run.id,
    ...(run.parentId === null ? undefined : { parentId: run.parentId }),
    ...(run.idempotencyKey === null ? undefined : { idempotencyKey: run.idempotencyKey }),
    executionCount: run.executionCount,
    attempt: run.generation,
    createdAt: new Date(run.createdAt),
    ...(run.startedAt === null ? undefined : { startedAt: new Date(run.startedAt) }),
    ...(run.finishedAt === null ? undefined : { finishedAt: new Date(run.finishedAt) }),
    ...(waits && run.dueAt !== null ? { availableAt: new Date(run.dueAt) } : undefined),
  };
}

function decodedError(text: string | null): Error | undefined {
  return text === null ? undefined : fromErrorRecord(decodeErrorRecord(text));
}

/** Records as a tree, in the order in which they were written. */
export async function viewTasks(
  engine: Engine,
  run: RunRecord,
  records: readonly TaskRecord[],
  withDetails: boolean,
): Promise<TaskView[]> {
  const views = new Map<string, TaskView & { tasks?: TaskView[] }>();
  const roots: TaskView[] = [];
  for (const record of records)
    views.set(record.path, { ...(await viewTask(engine, run, record, withDetails)) });
  for (const [path, view] of views) {
    const parent = nearestParent(views, path);
    if (parent === undefined) {
      roots.push(view);
      continue;
    }
    parent.tasks ??= [];
    parent.tasks.push(view);
  }
  return roots;
}

/** A branch of `waitForAny` has no record of its own, and a parent may be on another page. */
function nearestParent<T>(views: ReadonlyMap<string, T>, path: string): T | undefined {
  for (let parent = parentOf(path); parent !== ""; parent = parentOf(parent)) {
    const view = views.get(parent);
    if (view !== undefined) return view;
  }
  return undefined;
}

async function viewTask(
  engine: Engine,
  run: RunRecord,
  record: TaskRecord,
  withDetails: boolean,
): Promise<Omit<TaskView, "tasks">> {
  const data = decodeTaskData(record.data);
  const isOpen = record.status === "RUNNING" || record.status === "WAITING";
  const error = decodedError(record.error);
  return {
    key: displayKey(record.path),
    path: record.path,
    kind: record.kind,
    // Nothing is open in a run that is over; the records stay as they were for a retry.
    status: isOpen && isFinal(run.status) ? "CANCELED" : record.status,
    attempts: attemptsOf(record, data, error),
    ...(error === undefined || record.status === "WAITING" ? undefined : { error }),
    startedAt: new Date(record.startedAt),
    ...(record.finishedAt === null ? undefined : { finishedAt: new Date(record.finishedAt) }),
    ...(record.wakeAt === null || !isOpen ? undefined : { availableAt: new Date(record.wakeAt) }),
    ...(data.name === undefined ? undefined : { name: data.name }),
    ...(data.connectionKey === undefined ? undefined : { connectionKey: data.connectionKey }),
    ...(data.childId === undefined ? undefined : { childRunId: data.childId }),
    ...(withDetails ? await detailsOf(engine, record, data) : undefined),
  };
}

function displayKey(path: string): string {
  const key = keyOfSegment(pathSegments(path).at(-1) ?? "");
  return typeof key === "string" ? key : JSON.stringify(key);
}

async function detailsOf(
  engine: Engine,
  record: TaskRecord,
  data: TaskData,
): Promise<Partial<TaskView>> {
  const { icon, description, params, properties, outputProperties, style, redact } = data;
  const hasOutput = record.status === "COMPLETED" && record.output !== null;
  const output = hasOutput ? await engine.codec.decode(record.output ?? "") : undefined;
  return {
    ...(hasOutput
      ? { output: redact === undefined ? output : withoutPaths(output, redact) }
      : undefined),
    ...(icon === undefined ? undefined : { icon }),
    ...(description === undefined ? undefined : { description }),
    ...(params === undefined ? undefined : { params: JSON.parse(params) as unknown }),
    ...(properties === undefined ? undefined : { properties }),
    ...(outputProperties === undefined ? undefined : { outputProperties }),
    ...(style === undefined ? undefined : { style }),
  };
}

function attemptsOf(record: TaskRecord, data: TaskData, error: Error | undefined): AttemptView[] {
  const history = data.history ?? [];
  // Of very many attempts only the last are kept.
  const forgotten = record.attempts - (record.status === "COMPLETED" ? 1 : 0) - history.length;
  const failed = history.map(
    ([startedAt, finishedAt, stored], index): AttemptView => ({
      number: Math.max(0, forgotten) + index + 1,
      startedAt: new Date(startedAt),
      finishedAt: new Date(finishedAt),
      error: fromErrorRecord(stored),
    }),
  );
  const counted =
    record.status === "COMPLETED" || (record.status === "FAILED" && failed.length === 0);
  if (!counted || record.finishedAt === null) return failed;
  return [
    ...failed,
    {
      number: record.attempts,
      startedAt: new Date(record.startedAt),
      finishedAt: new Date(record.finishedAt),
      ...(error === undefined || record.status === "COMPLETED" ? undefined : { error }),
    },
  ];
}
