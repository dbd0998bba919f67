import { NEVER } from "../../core/storage.js";
import type { StoredRun } from "../../core/stored-run.js";

/**
 * The instant at which workers elsewhere should look because of a run that was
 * made or changed; undefined if there is no need. Only those that could not
 * know: who parks a run wakes up for it, and a poll bounds how late another
 * notices if it does not.
 */
export function hintOf(
  before: StoredRun | undefined,
  after: StoredRun,
  now: number,
): number | undefined {
  const { leaseUntil, dueAt, limitKeys } = after.run;
  if (leaseUntil !== null) return undefined;
  const wasHeld = before !== undefined && before.run.leaseUntil !== null;
  // Somebody may have passed over others for want of this slot.
  if (wasHeld && limitKeys.length > 0) return now;
  if (dueAt === null || dueAt === NEVER) return undefined;
  if (dueAt <= now) return now;
  return !wasHeld && dueAt < (before?.run.dueAt ?? NEVER) ? dueAt : undefined;
}

export function earliest(instants: readonly (number | undefined)[]): number | undefined {
  let first: number | undefined;
  for (const instant of instants)
    if (instant !== undefined && instant < (first ?? NEVER)) first = instant;
  return first;
}
