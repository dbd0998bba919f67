import { isInternal } from "../core/final.js";
import type { ClaimedRun } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { unstarted } from "./unstarted.js";

/** A run that was claimed and not executed is due again at once. */
export async function giveBack(engine: Engine, { run, kept }: ClaimedRun): Promise<void> {
  // An internal run records no tasks: an earlier holder may have done its work, which cannot be taken back.
  const isNew = run.lastSeq === 0 && !isInternal(run.jobId);
  await engine.queue.submit({
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { epoch: run.epoch },
    run: { ...(kept ? undefined : unstarted(run)), status: isNew ? "PENDING" : "WAITING" },
    release: { wakeAt: engine.storeClock.now(), wakeSignals: 1 },
  });
}
