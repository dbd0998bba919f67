import type { RunPatch, RunRecord } from "../core/storage.js";
import { decodeMeta } from "./run-meta.js";

/** What a claim changed, put back: it came to no execution. */
export function unstarted(run: RunRecord): RunPatch {
  const executionCount = run.executionCount - 1;
  if (executionCount > 0 || run.lastSeq > 0) return { executionCount };
  return { executionCount, startedAt: null, deadlineAt: decodeMeta(run.meta).expiresAt ?? null };
}
