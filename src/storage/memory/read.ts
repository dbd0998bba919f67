import { StorageError } from "../../core/errors.js";
import { displayStatus, type RunStatus } from "../../core/run-status.js";
import type { RunPage, RunQuery, WaitingPage, WaitingTask } from "../../core/storage.js";
import type { MemoryData } from "./data.js";
import type { RunList } from "./run-list.js";
import type { RunRow } from "./run-row.js";
import { taskRecord } from "./task-table.js";

function isInternal(row: RunRow): boolean {
  return row.jobId.startsWith("$");
}

/** The shortest list that holds everything that is asked for. */
function baseList(data: MemoryData, query: RunQuery): RunList | undefined {
  if (query.parentId !== undefined) return data.byParent.get(query.parentId);
  if (query.eventId !== undefined) return data.byEvent.get(query.eventId);
  if (query.tag !== undefined) return data.byTag.get(query.tag);
  const [jobId, ...others] = query.jobIds ?? [];
  return jobId !== undefined && others.length === 0 ? data.byJob.get(jobId) : data.runs;
}

function matches(row: RunRow, query: RunQuery, now: number): boolean {
  const { jobIds, statuses, tag, eventId, parentId, blocked } = query;
  if (query.internal !== true && isInternal(row)) return false;
  if (jobIds !== undefined && !jobIds.includes(row.jobId)) return false;
  if (tag !== undefined && !row.tags.includes(tag)) return false;
  if (eventId !== undefined && row.eventId !== eventId) return false;
  if (parentId !== undefined && row.parentId !== parentId) return false;
  if (blocked !== undefined && (row.blocked !== null) !== blocked) return false;
  return statuses === undefined || statuses.includes(displayStatus(row, now));
}

/** The cursor is the place, in the order of creation, of the last run that was answered. */
export function listRuns(data: MemoryData, query: RunQuery, now: number): RunPage {
  const before = query.cursor === undefined ? Number.POSITIVE_INFINITY : orderOf(query.cursor);
  const { createdFrom = 0, createdTo = Number.POSITIVE_INFINITY, limit } = query;
  const found: RunRow[] = [];
  const candidates = baseList(data, query)?.newestFirst(
    (row) => row.order < before && row.createdAt < createdTo,
  );
  for (const row of candidates ?? []) {
    if (row.createdAt < createdFrom) break;
    if (!matches(row, query, now)) continue;
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

export function countRuns(data: MemoryData, now: number): Partial<Record<RunStatus, number>> {
  const counts: Partial<Record<RunStatus, number>> = {};
  for (const row of data.runs.all()) {
    if (isInternal(row)) continue;
    const status = displayStatus(row, now);
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}

export function listWaiting(
  data: MemoryData,
  topics: readonly string[],
  page: WaitingPage,
): WaitingTask[] {
  return data.topics.list(topics, page).map(({ row, task }) => ({
    runId: row.id,
    jobId: row.jobId,
    createdAt: row.createdAt,
    task: taskRecord(task),
  }));
}
