import { waitingTask } from "../../core/run-tables.js";
import type { RunPage, RunQuery, WaitingPage, WaitingTask } from "../../core/storage.js";
import { orderBefore, runPage } from "../../core/stored-data.js";
import type { MemoryData } from "./data.js";
import type { RunList } from "./run-list.js";
import type { RunRow } from "./run-row.js";

/** The shortest list that holds everything that is asked for. */
function baseList(data: MemoryData, query: RunQuery): RunList | undefined {
  if (query.parentId !== undefined) return data.byParent.get(query.parentId);
  if (query.eventId !== undefined) return data.byEvent.get(query.eventId);
  if (query.tag !== undefined) return data.byTag.get(query.tag);
  const [jobId, ...others] = query.jobIds ?? [];
  return jobId !== undefined && others.length === 0 ? data.byJob.get(jobId) : data.runs;
}

export function listRuns(data: MemoryData, query: RunQuery, now: number): RunPage {
  return runPage(candidates(data, query), query, now);
}

/** A search leads to the first one, and what is older than asked for is not looked at. */
function* candidates(data: MemoryData, query: RunQuery): Generator<RunRow> {
  const { createdFrom = 0, createdTo = Number.POSITIVE_INFINITY } = query;
  const before = orderBefore(query);
  const isBefore = ({ order, run }: RunRow) => order < before && run.createdAt < createdTo;
  for (const row of baseList(data, query)?.newestFirst(isBefore) ?? []) {
    if (row.run.createdAt < createdFrom) return;
    yield row;
  }
}

export function listWaiting(
  data: MemoryData,
  topics: readonly string[],
  page: WaitingPage,
): WaitingTask[] {
  return data.topics.list(topics, page).map(({ row, task }) => waitingTask(row.run, task));
}
