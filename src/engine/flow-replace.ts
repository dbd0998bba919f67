import type { Engine } from "./engine.js";
import { finishRun } from "./finish-run.js";
import { supersededBy } from "./flow-endings.js";
import { flowValue, readFlow, type SingletonState } from "./flow-state.js";

/**
 * Ends a run whose place another has taken. Whoever asks may have lost that
 * place meanwhile, to a run that this one would end: so end and look are one write.
 */
export async function endReplaced(
  engine: Engine,
  key: string,
  other: string,
  by: string,
): Promise<void> {
  const stillReplaces = async () => {
    const { state, version } = await readFlow<SingletonState>(engine, key);
    if (state?.runId !== by || state.replaces?.includes(other) !== true) return undefined;
    return [flowValue(key, version, state)];
  };
  await finishRun(engine, other, () => supersededBy(other, by), stillReplaces);
}
