import { toErrorRecord } from "../core/error-record.js";
import { isInternal } from "../core/final.js";
import type { ClaimedRun, CommitResult, Release, RunPatch } from "../core/storage.js";
import { blocked, tellBlocked } from "./block.js";
import type { Engine, RunningJob } from "./engine.js";
import { unstarted } from "./unstarted.js";

/** A run that was claimed and not executed is due again at once. */
export async function giveBack(engine: Engine, claimed: ClaimedRun): Promise<void> {
  await release(engine, claimed, {}, { wakeAt: engine.storeClock.now(), wakeSignals: 1 });
}

/**
 * Something other than its own code kept a claimed run from its execution. If its
 * lease were left to lapse, that would count as a stall.
 */
export async function holdBack(
  engine: Engine,
  job: RunningJob,
  claimed: ClaimedRun,
  cause: unknown,
): Promise<void> {
  const error = toErrorRecord(cause);
  const block = blocked(engine, claimed.run, job.version, error);
  const { result } = await release(engine, claimed, block.patch, block.release);
  if (result === "ok") tellBlocked(engine, claimed.run, error);
}

function release(
  engine: Engine,
  { run, kept }: ClaimedRun,
  patch: RunPatch,
  due: Release,
): Promise<CommitResult> {
  // An internal run records no tasks: an earlier holder may have done its work, which cannot be taken back.
  const isNew = run.lastSeq === 0 && !isInternal(run.jobId);
  return engine.queue.submit({
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch },
    run: {
      ...patch,
      ...(kept ? undefined : unstarted(run)),
      status: isNew ? "PENDING" : "WAITING",
    },
    release: due,
  });
}
