import { durationMs, instantAfter, instantOf } from "../core/duration.js";
import { ConfigError } from "../core/errors.js";
import type { InvokeOptions } from "../core/io.js";
import { describe } from "../core/options.js";

/** When an invoked run is due at the earliest, and by when it must have started. */
export interface InvokeTimes {
  readonly wakeAt: number;
  readonly deadlineAt: number | null;
}

/** @throws ConfigError OPTION_INVALID */
export function invokeTimes(options: InvokeOptions, now: number): InvokeTimes {
  const { ttl } = options;
  return {
    wakeAt: Math.max(now, startOf(options, now)),
    deadlineAt: ttl === undefined ? null : instantAfter(ttl, now, "ttl of invoke"),
  };
}

function startOf({ runAt, delay }: InvokeOptions, now: number): number {
  if (runAt === undefined)
    return delay === undefined ? now : instantAfter(delay, now, "delay of invoke");
  if (delay !== undefined)
    throw new ConfigError("OPTION_INVALID", "invoke got both runAt and delay; pass one of them.");
  const at = instantOf(runAt);
  if (at !== undefined) return at;
  throw new ConfigError(
    "OPTION_INVALID",
    `runAt of invoke is ${describe(runAt)}; pass a valid Date, or leave it out to start at once.`,
  );
}

/** Until when an idempotency key counts; null for as long as it is remembered. @throws ConfigError OPTION_INVALID */
export function keyExpiry(
  { idempotencyKey, idempotencyKeyTTL }: InvokeOptions,
  now: number,
): number | null {
  if (idempotencyKeyTTL === undefined) return null;
  if (idempotencyKey === undefined)
    throw new ConfigError(
      "OPTION_INVALID",
      "invoke got an idempotencyKeyTTL without an idempotencyKey; pass the key, or leave the TTL out.",
    );
  return now + durationMs(idempotencyKeyTTL, "idempotencyKeyTTL");
}
