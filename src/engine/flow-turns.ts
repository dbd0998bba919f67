import { isInternal } from "../core/final.js";
import type { ThrottleState } from "../core/flow-decisions.js";
import { withoutStart } from "../core/start-log.js";
import type { RunRecord } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { flowStateOf, readFlow } from "./flow-state.js";

/**
 * A run that was ended while it waited for its turn under a throttle leaves the
 * turn to others. If this fails, a turn goes unused, no more.
 */
export async function giveTurnBack(engine: Engine, run: RunRecord): Promise<void> {
  // The state of an internal run is another thing.
  const wait = isInternal(run.jobId) ? undefined : flowStateOf(run).wait;
  if (wait?.rule !== "throttle") return;
  try {
    for (;;) {
      const { state, version } = await readFlow<ThrottleState>(engine, wait.key);
      if (state === undefined) return;
      const turns = withoutStart(state.turns, wait.until);
      if (turns === state.turns) return;
      const value = JSON.stringify({ ...state, turns });
      if ((await engine.rawStorage.setValue(wait.key, value, version)).ok) return;
    }
  } catch (error) {
    engine.onTrouble(error);
  }
}
