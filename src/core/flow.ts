import { type Duration, durationMs } from "./duration.js";
import { ConfigError } from "./errors.js";
import { assertInteger, assertOptions, describe } from "./options.js";

/** Starts one after the other become one, with the payload of the last. */
export interface Debounce<Payload> {
  /** So long nothing must have started for the run to go on. */
  readonly period: Duration;
  /** Counted from the first start: then the run goes on all the same. Default: none. */
  readonly maxDelay?: Duration;
  /** Starts with different keys have nothing to do with each other. Default: one for all. */
  key?(payload: Payload): string;
}

/**
 * So many starts in any period of this length. Under `throttle` in any nine tenths
 * of it: a start that comes up to a tenth late counts as of its turn, so that the
 * others keep theirs.
 */
export interface StartRate<Payload> {
  readonly limit: number;
  readonly period: Duration;
  /** One limit per key. Default: one for all. */
  key?(payload: Payload): string;
}

/** One open run at a time. A new start is dropped, takes its place, or is given the open run. */
export interface Singleton<Payload> {
  readonly mode: "skip" | "replace" | "join";
  /** One run per key. Default: one for all. */
  key?(payload: Payload): string;
}

export interface FlowOptions<Payload> {
  /** @see Debounce */
  readonly debounce?: Debounce<Payload>;
  /** More starts are delayed until it is their turn. */
  readonly throttle?: StartRate<Payload>;
  /** More starts are dropped: `invoke` throws RATE_LIMITED, other runs are CANCELED with it. */
  readonly rateLimit?: StartRate<Payload>;
  /** @see Singleton */
  readonly singleton?: Singleton<Payload>;
}

/** In the order in which they are asked. */
export const flowRules = ["debounce", "rateLimit", "singleton", "throttle"] as const;
export type FlowRule = (typeof flowRules)[number];

export interface Rate {
  readonly limit: number;
  readonly periodMs: number;
}

export interface DebounceTimes {
  readonly periodMs: number;
  readonly maxDelayMs: number;
}

export function hasFlow(options: FlowOptions<never>): boolean {
  return flowRules.some((rule) => options[rule] !== undefined);
}

export function rateOf({ limit, period }: StartRate<never>): Rate {
  return { limit, periodMs: durationMs(period, "period") };
}

export function timesOf({ period, maxDelay }: Debounce<never>): DebounceTimes {
  return {
    periodMs: durationMs(period, "period"),
    maxDelayMs:
      maxDelay === undefined ? Number.POSITIVE_INFINITY : durationMs(maxDelay, "maxDelay"),
  };
}

/** Throws at the definition what would otherwise be found out by a start. */
export function checkFlow(options: { readonly [K in FlowRule]?: unknown }, where: string): void {
  for (const rule of flowRules) {
    const given = options[rule];
    if (given !== undefined) check(rule, given, `${rule} of ${where}`);
  }
}

function check(rule: FlowRule, given: unknown, where: string): void {
  if (typeof given !== "object" || given === null) {
    throw new ConfigError("OPTION_INVALID", `${where} is ${describe(given)}; pass an object.`);
  }
  const { limit, period, maxDelay, mode, key } = given as Record<string, unknown>;
  assertOptions(given, namesOf[rule], where);
  if (key !== undefined && typeof key !== "function") {
    throw new ConfigError(
      "OPTION_INVALID",
      `key of ${where} is ${describe(key)}; pass a function of the payload that gives a string.`,
    );
  }
  if (rule === "singleton") checkMode(mode, where);
  else checkTime(period, `period of ${where}`);
  if (rule === "throttle" || rule === "rateLimit")
    assertInteger(limit, `limit of ${where}`, { min: 1 });
  if (maxDelay !== undefined) checkTime(maxDelay, `maxDelay of ${where}`);
}

const namesOf: Readonly<Record<FlowRule, readonly string[]>> = {
  debounce: ["period", "maxDelay", "key"],
  rateLimit: ["limit", "period", "key"],
  singleton: ["mode", "key"],
  throttle: ["limit", "period", "key"],
};

function checkMode(mode: unknown, where: string): void {
  if (mode === "skip" || mode === "replace" || mode === "join") return;
  throw new ConfigError(
    "OPTION_INVALID",
    `mode of ${where} is ${describe(mode)}; pass "skip", "replace" or "join".`,
  );
}

function checkTime(time: unknown, where: string): void {
  if (durationMs(time as Duration, where) > 0) return;
  throw new ConfigError("OPTION_INVALID", `${where} must be longer than nothing.`);
}
