import { decodeErrorRecord } from "../core/error-record.js";
import { hookRun } from "../core/final.js";
import { isFinal } from "../core/run-status.js";
import type { NewRun } from "../core/storage.js";
import type { Engine } from "./engine.js";

/** The hooks of those runs that are over before they begin: their payload was refused, say. Made with them. */
export function hooksOfOver(engine: Engine, runs: readonly NewRun[], now: number): NewRun[] {
  return runs
    .filter(({ status, jobId }) => isFinal(status) && engine.hasHook(jobId, "onFailure"))
    .map((run) => hookRun({ ...run, generation: 1 }, "onFailure", now));
}

/** Tells this process of them, once they are stored. */
export async function tellOfOver(engine: Engine, runs: readonly NewRun[]): Promise<void> {
  const over = runs.filter(({ status }) => isFinal(status)).map(({ id }) => id);
  for (const run of over.length === 0 ? [] : await engine.storage.getRuns(over)) {
    if (run === undefined || !isFinal(run.status)) continue;
    const error = decodeErrorRecord(run.error ?? "");
    engine.outsiderEnded(run, { status: run.status, error }, engine.storeClock.now());
  }
}
