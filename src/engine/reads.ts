import { instantOf } from "../core/duration.js";
import { ConfigError, isPawlError } from "../core/errors.js";
import { isInternal } from "../core/final.js";
import { assertText } from "../core/key.js";
import { assertInteger, assertOptions, describe } from "../core/options.js";
import type { Run } from "../core/run.js";
import { type RunStatus, runStatuses } from "../core/run-status.js";
import type { RunPage, RunQuery, RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { viewRun, viewTasks } from "./run-view.js";

export interface GetRunOptions {
  /** With its tasks, as a tree. Default false. */
  readonly tasks?: boolean;
  /** Tasks with output, params and display fields. Default false. */
  readonly taskDetails?: boolean;
  /** `nextCursor` of the page before. */
  readonly cursor?: string;
  /** Tasks per page, 1 to 1000. Default: all up to 1000. */
  readonly take?: number;
}

export interface RunFilter {
  readonly jobId?: string | readonly string[];
  readonly status?: RunStatus | readonly RunStatus[];
  readonly tag?: string;
  readonly eventId?: string;
  readonly parentId?: string;
  /** Created at or after. */
  readonly from?: Date;
  /** Created before. */
  readonly to?: Date;
  readonly cursor?: string;
  /** 1 to 1000, default 20. */
  readonly take?: number;
}

export interface RunList {
  readonly runs: readonly Run[];
  readonly nextCursor?: string;
}

const TASK_BYTES = 4 * 1024 * 1024;

export async function getRun(
  engine: Engine,
  id: string,
  options: GetRunOptions = {},
): Promise<Run | undefined> {
  assertOptions(options, ["tasks", "taskDetails", "cursor", "take"], "getRun");
  const [run] = await engine.rawStorage.getRuns([id]);
  if (run === undefined || isInternal(run.jobId)) return undefined;
  const view = await viewRun(engine, run, await engine.rawStorage.now());
  if (options.tasks !== true && options.taskDetails !== true) return view;
  return { ...view, ...(await taskPage(engine, run, options)) };
}

async function taskPage(
  engine: Engine,
  run: RunRecord,
  options: GetRunOptions,
): Promise<Pick<Run, "tasks" | "nextCursor">> {
  const { take = 1_000, cursor } = options;
  assertInteger(take, "take of getRun", { min: 1, max: 1_000 });
  const after = cursor === undefined ? 0 : Number(cursor);
  assertInteger(after, "cursor of getRun", { min: 0 });
  const page = await engine.rawStorage.listTasks(run.id, after, TASK_BYTES);
  const records = page.tasks.slice(0, take);
  const complete = page.complete && records.length === page.tasks.length;
  const tasks = await viewTasks(engine, run, records, options.taskDetails === true);
  return complete ? { tasks } : { tasks, nextCursor: String(records.at(-1)?.seq ?? after) };
}

export async function getRuns(engine: Engine, filter: RunFilter = {}): Promise<RunList> {
  const page = await listRuns(engine, queryOf(filter));
  const now = await engine.rawStorage.now();
  const runs = await Promise.all(page.runs.map((run) => viewRun(engine, run, now)));
  return page.nextCursor === undefined ? { runs } : { runs, nextCursor: page.nextCursor };
}

async function listRuns(engine: Engine, query: RunQuery): Promise<RunPage> {
  try {
    return await engine.rawStorage.listRuns(query);
  } catch (cause) {
    if (query.cursor === undefined || !isPawlError(cause, "STORAGE_INVALID")) throw cause;
    throw new ConfigError(
      "OPTION_INVALID",
      `cursor of getRuns is ${describe(query.cursor)}, which is no nextCursor of this storage. Leave it out for the first page.`,
      { cause },
    );
  }
}

function queryOf(filter: RunFilter): RunQuery {
  assertOptions(
    filter,
    ["jobId", "status", "tag", "eventId", "parentId", "from", "to", "cursor", "take"],
    "getRuns",
  );
  const { jobId, status, tag, eventId, parentId, from, to, cursor, take = 20 } = filter;
  assertInteger(take, "take of getRuns", { min: 1, max: 1_000 });
  const statuses = status === undefined ? undefined : listOf<RunStatus>(status, "status");
  for (const name of statuses ?? []) assertStatus(name);
  for (const [name, text] of Object.entries({ tag, eventId, parentId, cursor }))
    if (text !== undefined) assertText(text, `${name} of getRuns`);
  return {
    limit: take,
    ...(jobId === undefined ? undefined : { jobIds: listOf<string>(jobId, "jobId") }),
    ...(statuses === undefined ? undefined : { statuses }),
    ...(tag === undefined ? undefined : { tag }),
    ...(eventId === undefined ? undefined : { eventId }),
    ...(parentId === undefined ? undefined : { parentId }),
    ...(from === undefined ? undefined : { createdFrom: boundOf(from, "from") }),
    ...(to === undefined ? undefined : { createdTo: boundOf(to, "to") }),
    ...(cursor === undefined ? undefined : { cursor }),
  };
}

function listOf<T extends string>(given: T | readonly T[], name: string): readonly T[] {
  const list: readonly T[] = isList(given) ? given : [given];
  if (list.every((entry: unknown) => typeof entry === "string")) return list;
  throw new ConfigError(
    "OPTION_INVALID",
    `${name} of getRuns must be a string or an array of strings, got ${describe(given)}.`,
  );
}

function isList<T>(given: T | readonly T[]): given is readonly T[] {
  return Array.isArray(given);
}

function boundOf(date: Date, name: string): number {
  const instant = instantOf(date);
  if (instant !== undefined) return instant;
  throw new ConfigError(
    "OPTION_INVALID",
    `${name} of getRuns must be a valid Date, got ${describe(date)}.`,
  );
}

function assertStatus(status: string): void {
  if ((runStatuses as readonly string[]).includes(status)) return;
  throw new ConfigError(
    "OPTION_INVALID",
    `There is no run status "${status}". Use one of ${runStatuses.join(", ")}.`,
  );
}
