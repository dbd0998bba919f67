import type { PurgeQuery } from "../../core/storage.js";
import { isPurgeable } from "../../core/stored-data.js";
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
  data.byEvent.dropPurged(new Set(rows.flatMap(({ run }) => run.eventId ?? [])));
  data.byParent.dropPurged(new Set(rows.flatMap(({ run }) => run.parentId ?? [])));
  data.byTag.dropPurged(new Set(rows.flatMap(({ run }) => run.tags)));
  return { purged: rows.length };
}

function takeFinished(data: MemoryData, { finishedBefore, limit }: PurgeQuery): RunRow[] {
  const { finished } = data.due;
  const taken: RunRow[] = [];
  const spared: RunRow[] = [];
  for (let row = finished.peek(); row !== undefined; row = finished.peek()) {
    if (taken.length >= limit || (row.run.finishedAt ?? 0) >= finishedBefore) break;
    data.due.remove(row);
    const parent = data.identities.run(row.run.parentId ?? "")?.run;
    const children =
      data.byParent
        .get(row.id)
        ?.all()
        .map(({ run }) => run) ?? [];
    (isPurgeable(row.run, parent, children, finishedBefore) ? taken : spared).push(row);
  }
  for (const row of spared) data.due.place(row, 0);
  return taken;
}
