import { type Duration, durationMs } from "../core/duration.js";
import { assertOptions } from "../core/options.js";
import type { Engine } from "./engine.js";
import { purgeFlow } from "./flow-state.js";
import { nextMacrotask } from "./macrotask.js";

export interface PurgeOptions {
  /** Only runs that ended longer ago than this. */
  readonly olderThan: Duration;
  /** How long purged ids and idempotency keys stay remembered. Default 30 days. */
  readonly dedupeRetention?: Duration;
}

const BATCH = 500;

/**
 * For so long an event or a token that a run was told of stays, on top of
 * `olderThan`: that run is due, and its worker may be down.
 */
const KEPT_FOR_READERS_MS = 7 * 86_400_000;

/** `finishedAt` of an event or a token; a purge goes by it. */
export function endOfInternal(now: number, wasTold: boolean): number {
  return wasTold ? now + KEPT_FOR_READERS_MS : now;
}

/** In batches, with a breath in between, so that traffic goes on. */
export async function purge(engine: Engine, options: PurgeOptions): Promise<{ purged: number }> {
  assertOptions(options, ["olderThan", "dedupeRetention"], "purge");
  const olderThanMs = durationMs(options?.olderThan, "olderThan of purge");
  const retentionMs = durationMs(
    options.dedupeRetention ?? { days: 30 },
    "dedupeRetention of purge",
  );
  const now = await engine.rawStorage.now();
  let total = 0;
  for (;;) {
    const { purged } = await engine.rawStorage.purge({
      finishedBefore: now - olderThanMs,
      dedupeUntil: now + retentionMs,
      limit: BATCH,
    });
    total += purged;
    // A store takes fewer at a time where they have recorded much.
    if (purged === 0) break;
    await nextMacrotask();
  }
  await purgeFlow(engine, now);
  return { purged: total };
}
