import { StorageError } from "./errors.js";
import { isInternal } from "./final.js";
import { displayStatus, isFinal, type RunStatus } from "./run-status.js";
import {
  type NewSignal,
  type RunPage,
  type RunQuery,
  type RunRecord,
  type StoredValue,
  type ValueResult,
  type ValueWrite,
  WATCH_TOPIC,
  type Watch,
  type WatchRef,
} from "./storage.js";
import type { StoredRun } from "./stored-run.js";

/** A value as an adapter keeps it. A deleted one stays as null, so that no version ever comes again. */
export interface ValueEntry {
  readonly value: string | null;
  readonly version: number;
}

/** What a reader gets. */
export function storedValue(entry: ValueEntry | undefined): StoredValue | undefined {
  if (entry === undefined || entry.value === null) return undefined;
  return { value: entry.value, version: entry.version };
}

/** Compare-and-set: the entry to keep from now on, and the answer. */
export function afterValueWrite(
  entry: ValueEntry | undefined,
  { value, expected }: Pick<ValueWrite, "value" | "expected">,
): { readonly entry: ValueEntry | undefined; readonly result: ValueResult } {
  const present = storedValue(entry);
  const version = present?.version ?? 0;
  if (expected !== undefined && expected !== version)
    return { entry, result: { ok: false, version, ...present } };
  if (value === null) {
    const deleted = entry && { value, version: entry.version };
    return { entry: deleted, result: { ok: true, version: 0 } };
  }
  const next = { value, version: (entry?.version ?? 0) + 1 };
  return { entry: next, result: { ok: true, version: next.version } };
}

/** Whom a watch sends a signal: the run that it watches or, if that is over or missing, its watcher (S9). */
export function signalOfWatch(
  watcherId: string,
  { targetId, signalId, topic }: Watch,
  target: Pick<RunRecord, "status"> | undefined,
): NewSignal {
  if (target === undefined || isFinal(target.status))
    return { runId: watcherId, id: signalId, topic, ref: targetId };
  const ref: WatchRef = { watcherId, signalId, topic };
  const id = `${watcherId} ${signalId}`;
  return { runId: targetId, id, topic: WATCH_TOPIC, ref: JSON.stringify(ref) };
}

/** A run and its place in the order of creation. */
interface RunInOrder {
  readonly stored: StoredRun;
  readonly order: number;
}

/** Runs of greater order were on pages before this one. */
export function orderBefore({ cursor }: RunQuery): number {
  if (cursor === undefined) return Number.POSITIVE_INFINITY;
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new StorageError("STORAGE_INVALID", "The cursor is not one that listRuns gave.");
}

/** The page of these runs that is asked for. The cursor is the order of the last run on it. */
export function runPage(newestFirst: Iterable<RunInOrder>, query: RunQuery, now: number): RunPage {
  const before = orderBefore(query);
  const found: RunInOrder[] = [];
  for (const each of newestFirst) {
    if (each.order >= before || !matchesQuery(each.stored.run, query, now)) continue;
    if (found.length === query.limit)
      return { runs: found.map(copyOf), nextCursor: String(found.at(-1)?.order) };
    found.push(each);
  }
  return { runs: found.map(copyOf) };
}

function copyOf({ stored }: RunInOrder): RunRecord {
  return { ...stored.run };
}

function matchesQuery(run: RunRecord, query: RunQuery, now: number): boolean {
  const { jobIds, statuses, tag, eventId, parentId, blocked, createdFrom, createdTo } = query;
  if (query.internal !== true && isInternal(run.jobId)) return false;
  if (jobIds !== undefined && !jobIds.includes(run.jobId)) return false;
  if (tag !== undefined && !run.tags.includes(tag)) return false;
  if (eventId !== undefined && run.eventId !== eventId) return false;
  if (parentId !== undefined && run.parentId !== parentId) return false;
  if (blocked !== undefined && (run.blocked !== null) !== blocked) return false;
  if (createdFrom !== undefined && run.createdAt < createdFrom) return false;
  if (createdTo !== undefined && run.createdAt >= createdTo) return false;
  return statuses === undefined || statuses.includes(displayStatus(run, now));
}

/** Number of runs by displayed status, internal ones left out. */
export function countByStatus(
  rows: Iterable<{ readonly stored: StoredRun }>,
  now: number,
): Partial<Record<RunStatus, number>> {
  const counts: Partial<Record<RunStatus, number>> = {};
  for (const { stored } of rows) {
    const { run } = stored;
    if (isInternal(run.jobId)) continue;
    const status = displayStatus(run, now);
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}

/**
 * A run may go when it ended before that instant, unless somebody who is open
 * may still ask for it: its parent, or an internal child, such as a hook.
 */
export function isPurgeable(
  run: Pick<RunRecord, "status" | "finishedAt">,
  parent: Pick<RunRecord, "status"> | undefined,
  children: readonly Pick<RunRecord, "jobId" | "status">[],
  finishedBefore: number,
): boolean {
  if (!isFinal(run.status) || (run.finishedAt ?? 0) >= finishedBefore) return false;
  if (parent !== undefined && !isFinal(parent.status)) return false;
  return children.every(({ jobId, status }) => !isInternal(jobId) || isFinal(status));
}
