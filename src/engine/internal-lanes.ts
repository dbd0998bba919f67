import { isHookJob } from "../core/final.js";
import type { ClaimedRun } from "../core/storage.js";
import type { Engine } from "./engine.js";
import { executeInternal } from "./internal-runs.js";

/** Also a worker with one slot does not make events wait for each other's round trips. */
const LEAST_WIDTH = 8;

/**
 * Internal runs take no slot (contract E11), and still no more of them are
 * executed at a time than there are slots. Hooks have a lane of their own: they
 * are code of the user's, and one that hangs must not keep events and ticks.
 */
export class InternalLanes {
  readonly #width: number;
  #hooks = 0;
  #others = 0;

  constructor(slots: number) {
    this.#width = Math.max(LEAST_WIDTH, slots);
  }

  get freeForHooks(): number {
    return this.#width - this.#hooks;
  }

  /** For events, ticks and the like. */
  get freeForOthers(): number {
    return this.#width - this.#others;
  }

  async execute(engine: Engine, claimed: ClaimedRun): Promise<void> {
    const isHook = isHookJob(claimed.run.jobId);
    this.#count(isHook, 1);
    try {
      await executeInternal(engine, claimed);
    } finally {
      this.#count(isHook, -1);
    }
  }

  #count(isHook: boolean, change: 1 | -1): void {
    if (isHook) this.#hooks += change;
    else this.#others += change;
  }
}
