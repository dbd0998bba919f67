import { StorageError } from "../../core/errors.js";
import type { RunPage, RunQuery, WaitingPage, WaitingTask } from "../../core/storage.js";
import { matchesQuery } from "../../core/stored-data.js";
import type { MemoryData } from "./data.js";
import type { RunList } from "./run-list.js";
import type { RunRow } from "./run-row.js";
import { taskRecord } from "./task-table.js";

/** The shortest list that holds everything that is asked for. */
function baseList(data: MemoryData, query: RunQuery): RunList | undefined {
  if (query.parentId !== undefined) return data.byParent.get(query.parentId);
  if (query.eventId !== undefined) return data.byEvent.get(query.eventId);
  if (query.tag !== undefined) return data.byTag.get(query.tag);
  const [jobId, ...others] = query.jobIds ?? [];
  return jobId !== undefined && others.length === 0 ? data.byJob.get(jobId) : data.runs;
}

/** The cursor is the place, in the order of creation, of the last run that was answered. */
export function listRuns(data: MemoryData, query: RunQuery, now: number): RunPage {
  const before = query.cursor === undefined ? Number.POSITIVE_INFINITY : orderOf(query.cursor);
  const { createdFrom = 0, createdTo = Number.POSITIVE_INFINITY, limit } = query;
  const found: RunRow[] = [];
  const candidates = baseList(data, query)?.newestFirst(
    (row) => row.order < before && row.run.createdAt < createdTo,
  );
  for (const row of candidates ?? []) {
    if (row.run.createdAt < createdFrom) break;
    if (!matchesQuery(row.run, query, now)) continue;
    if (found.length === limit)
      return { runs: found.map((each) => each.record()), nextCursor: String(found.at(-1)?.order) };
    found.push(row);
  }
  return { runs: found.map((each) => each.record()) };
}

function orderOf(cursor: string): number {
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new StorageError("STORAGE_INVALID", "The cursor is not one that listRuns gave.");
}

export function listWaiting(
  data: MemoryData,
  topics: readonly string[],
  page: WaitingPage,
): WaitingTask[] {
  return data.topics.list(topics, page).map(({ row, task }) => ({
    runId: row.id,
    jobId: row.jobId,
    createdAt: row.run.createdAt,
    task: taskRecord(task),
  }));
}
