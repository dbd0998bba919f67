import { ConfigError } from "../../core/errors.js";
import type { Key } from "../../core/key.js";
import { assertOptions } from "../../core/options.js";
import type { TaskKind } from "../../core/task-data.js";
import { randomFraction } from "../ids.js";
import type { Scope } from "../scope.js";
import { failOp } from "./invoke.js";
import { rejected } from "./run-task.js";

interface RandomOptions {
  readonly min?: number;
  readonly max?: number;
  readonly round?: boolean;
}

export function randomValue(scope: Scope, key: Key, options: RandomOptions = {}): Promise<number> {
  const { min = 0, max = 1, round = false } = options;
  try {
    assertOptions(options, ["min", "max", "round"], "io.random");
    if (!Number.isFinite(min) || !Number.isFinite(max) || min > max) {
      throw new ConfigError(
        "OPTION_INVALID",
        `io.random needs finite bounds with min ≤ max, got min ${min} and max ${max}.`,
      );
    }
  } catch (error) {
    return rejected(error);
  }
  return remember(scope, key, "random", () => randomBetween(min, max, round));
}

export function nowValue(scope: Scope, key: Key): Promise<Date> {
  return remember(scope, key, "now", () => new Date(scope.execution.engine.storeClock.now()));
}

export function uuidValue(scope: Scope, key: Key): Promise<string> {
  return remember(scope, key, "uuid", () => crypto.randomUUID());
}

/** With `round` the upper bound is inclusive, as in trigger.dev v2. */
function randomBetween(min: number, max: number, round: boolean): number {
  if (!round) return min + randomFraction() * (max - min);
  const [low, high] = [Math.ceil(min), Math.floor(max)];
  return low + Math.floor(randomFraction() * (high - low + 1));
}

function remember<T>(scope: Scope, key: Key, kind: TaskKind, make: () => T): Promise<T> {
  const { execution } = scope;
  const { engine } = execution;
  const decode = ({ output }: { output: string | null }) =>
    output === null ? undefined : engine.codec.decode(output);
  return execution.call<T>(scope, key, kind, decode, (op) => {
    void execution.hold(async () => {
      try {
        const output = await engine.codec.encode(make(), kind);
        execution.record(op, { status: "COMPLETED", output }, "settle");
      } catch (error) {
        failOp(op, error);
      }
    });
  });
}
