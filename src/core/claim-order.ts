import { isInternal } from "./final.js";
import { isFinal } from "./run-status.js";
import { type ClaimRequest, NEVER, type RunRecord } from "./storage.js";

/** From this many stalls on a run is a suspect. */
export const SUSPECT_STALLS = 2;

/** A claim takes few of these: see `ClaimRequest.suspects`. */
export function isSuspect({ stalls }: Pick<RunRecord, "stalls">): boolean {
  return stalls >= SUSPECT_STALLS;
}

/** Whether the claim may take the run, if slots of its limits are free and there is room for a suspect. */
export function isClaimable(
  run: Pick<RunRecord, "id" | "jobId" | "status" | "leaseUntil" | "dueAt">,
  { jobIds, only }: Pick<ClaimRequest, "jobIds" | "only">,
  now: number,
): boolean {
  if (isFinal(run.status) || (run.leaseUntil ?? 0) > now || !jobIds.includes(run.jobId))
    return false;
  return only?.includes(run.id) ?? (run.dueAt ?? NEVER) <= now;
}

type RunInOrder = Pick<RunRecord, "jobId" | "priority" | "startedAt" | "dueAt">;

/** Compares by the order of claims; what was created first goes before its equal. */
export function claimOrder(a: RunInOrder, b: RunInOrder): number {
  const internal = Number(isInternal(b.jobId)) - Number(isInternal(a.jobId));
  if (internal !== 0) return internal;
  if (a.priority !== b.priority) return b.priority - a.priority;
  const started = Number(b.startedAt !== null) - Number(a.startedAt !== null);
  return started !== 0 ? started : (a.dueAt ?? NEVER) - (b.dueAt ?? NEVER);
}
