import { type Ending, endSignals, finalPatch, hookOf, hookRun, isInternal } from "../core/final.js";
import { isFinal, openStatuses } from "../core/run-status.js";
import type { RunRecord, RunWrite, ValueWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { giveTurnBack } from "./flow-turns.js";
import { endOfInternal } from "./purge.js";

export interface Finished {
  /** "ended" by this call, or over or gone before. */
  readonly result: "ended" | "final" | "missing";
  readonly run?: RunRecord;
}

/**
 * Ends a run that this caller does not hold: cancel, timeout, expiry. The write
 * is guarded by status and inbox, so a run that ends by itself meanwhile stays
 * as it ended, and everyone who waits for it is told in the same commit.
 */
export async function finishRun(
  engine: Engine,
  runId: string,
  endingOf: (run: RunRecord, now: number) => Ending | undefined,
  /** Compared by the write that ends it; undefined: it is not to be ended any more. */
  valuesOf?: () => Promise<readonly ValueWrite[] | undefined>,
): Promise<Finished> {
  let generation: number | undefined;
  for (;;) {
    const [run] = await engine.storage.getRuns([runId]);
    if (run === undefined) return { result: "missing" };
    generation ??= run.generation;
    // It was over, perhaps by this very call, and somebody has retried it since.
    const isReopened = run.generation > generation;
    if (isFinal(run.status) || isReopened) return { result: "final", run };
    // Without the job's code only the registry knows which hooks it has.
    if (!isInternal(run.jobId) && engine.jobs.get(run.jobId) === undefined)
      await engine.patience.until(() => engine.registry.refresh());
    const signals = await engine.storage.listSignals(runId);
    const now = await engine.patience.until(() => engine.rawStorage.now());
    engine.storeClock.observe(now);
    const ending = endingOf(run, now);
    const values = valuesOf === undefined ? [] : await valuesOf();
    if (ending === undefined || values === undefined) return { result: "final", run };
    const write = outsiderWrite(engine, run, ending, now, endSignals(run, signals));
    const answer = await engine.queue.submit(values.length === 0 ? write : { ...write, values });
    if (answer.result === "ok") {
      engine.runEnded(runId);
      engine.outsiderEnded(run, ending, now);
      await giveTurnBack(engine, run);
      return { result: "ended", run: { ...run, status: ending.status } };
    }
    if (answer.result === "missing") return { result: "missing" };
  }
}

function outsiderWrite(
  engine: Engine,
  run: RunRecord,
  ending: Ending,
  now: number,
  signals: NonNullable<RunWrite["signals"]>,
): RunWrite {
  const isOwn = isInternal(run.jobId);
  const hook = hookOf(ending.status);
  const hooks = isOwn || !engine.hasHook(run.jobId, hook) ? [] : [hookRun(run, hook, now, ending)];
  const patch = finalPatch(ending, now);
  return {
    runId: run.id,
    writeId: engine.writeIds.next(),
    guard: { statuses: openStatuses, inbox: run.inbox, generation: run.generation },
    run: isOwn ? { ...patch, finishedAt: endOfInternal(now, signals.length > 0) } : patch,
    ...(signals.length === 0 ? undefined : { signals }),
    ...(hooks.length === 0 ? undefined : { runs: hooks }),
  };
}
