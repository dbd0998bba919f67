import { isInternal } from "../../core/final.js";
import { isFinal } from "../../core/run-status.js";
import type { PurgeQuery } from "../../core/storage.js";
import type { MemoryData } from "./data.js";
import type { RunRow } from "./run-row.js";

export function purge(data: MemoryData, query: PurgeQuery, now: number): { purged: number } {
  data.identities.forgetExpired(now);
  const rows = takeFinished(data, query);
  for (const row of rows) {
    row.purged = true;
    data.identities.bury(row, query.dedupeUntil);
  }
  if (rows.length > 0) data.runs.dropPurged();
  data.byJob.dropPurged(new Set(rows.map((row) => row.jobId)));
  data.byEvent.dropPurged(new Set(rows.flatMap((row) => row.eventId ?? [])));
  data.byParent.dropPurged(new Set(rows.flatMap((row) => row.parentId ?? [])));
  data.byTag.dropPurged(new Set(rows.flatMap((row) => row.tags)));
  return { purged: rows.length };
}

function takeFinished(data: MemoryData, { finishedBefore, limit }: PurgeQuery): RunRow[] {
  const { finished } = data.due;
  const taken: RunRow[] = [];
  const spared: RunRow[] = [];
  for (let row = finished.peek(); row !== undefined; row = finished.peek()) {
    if (taken.length >= limit || (row.finishedAt ?? 0) >= finishedBefore) break;
    data.due.remove(row);
    (hasOpenParent(data, row) || hasOpenHook(data, row) ? spared : taken).push(row);
  }
  for (const row of spared) data.due.place(row, 0);
  return taken;
}

function hasOpenParent(data: MemoryData, row: RunRow): boolean {
  const parent = row.parentId === null ? undefined : data.identities.run(row.parentId);
  return parent !== undefined && !isFinal(parent.status);
}

/** It will ask for the run that it tells of. */
function hasOpenHook(data: MemoryData, { id }: RunRow): boolean {
  const children = data.byParent.get(id)?.all() ?? [];
  return children.some(({ jobId, status }) => isInternal(jobId) && !isFinal(status));
}
