import type { ThrottleState } from "../core/flow-decisions.js";
import { withoutStart } from "../core/start-log.js";
import type { RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { flowKey, flowStateOf, readFlow } from "./flow-state.js";

/**
 * A run that was ended while it waited for its turn under a throttle leaves the
 * turn to others. Only where the job's code is, which has the key; elsewhere, and
 * if this fails, a turn goes unused, no more.
 */
export async function giveTurnBack(engine: Engine, run: RunRecord): Promise<void> {
  const job = engine.jobs.get(run.jobId);
  if (job?.options.throttle === undefined) return;
  const { wait } = flowStateOf(run);
  if (wait?.rule !== "throttle") return;
  try {
    const key = flowKey(job, "throttle", await engine.admittedPayload(run));
    for (;;) {
      const { state, version } = await readFlow<ThrottleState>(engine, key);
      if (state === undefined) return;
      const turns = withoutStart(state.turns, wait.until);
      if (turns === state.turns) return;
      const value = JSON.stringify({ ...state, turns });
      if ((await engine.rawStorage.setValue(key, value, version)).ok) return;
    }
  } catch (error) {
    engine.onTrouble(error);
  }
}
