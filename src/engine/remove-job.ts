import { assertText } from "../core/key.js";
import type { Engine } from "./engine.js";
import { endSchedule } from "./schedules.js";

/** Its schedule ends here, and not at its next tick: a paused one has none. */
export async function removeJob(engine: Engine, jobId: string): Promise<void> {
  assertText(jobId, "job id of removeJob");
  await engine.registry.remove(jobId);
  await endSchedule(engine, jobId);
}
