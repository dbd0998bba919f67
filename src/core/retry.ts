import { ConfigError, describeValue } from "./errors.js";

/**
 * How often, and after which delays, a failed task is tried again. Without it there is one attempt.
 */
export interface RetryOptions {
  /**
   * Attempts in all, the first one included; whole number, 0 and 1 both mean one attempt. Default
   * 5.
   */
  readonly limit?: number | undefined;
  /** What each delay from the third on is multiplied with; above 0. Default 1.8. */
  readonly factor?: number | undefined;
  /** Delay after the first and the second failed attempt, in milliseconds. Default 1000. */
  readonly minTimeoutInMs?: number | undefined;
  /**
   * No delay is longer, in milliseconds; it also wins over a larger `minTimeoutInMs`. Default
   * 60000.
   */
  readonly maxTimeoutInMs?: number | undefined;
  /**
   * Multiply each delay with a random number between 1 and 2, so that many failed tasks do not come
   * back at once. Default true.
   */
  readonly randomize?: boolean | undefined;
}

/** `RetryOptions` with every default filled in. */
export interface ResolvedRetry {
  readonly limit: number;
  readonly factor: number;
  readonly minTimeoutInMs: number;
  readonly maxTimeoutInMs: number;
  readonly randomize: boolean;
}

const defaults: ResolvedRetry = Object.freeze({
  limit: 5,
  factor: 1.8,
  minTimeoutInMs: 1000,
  maxTimeoutInMs: 60_000,
  randomize: true,
});
const noRetry: ResolvedRetry = Object.freeze({ ...defaults, limit: 1 });

/** Ready-made options: `runTask(key, callback, { retry: retry.standardBackoff })`. */
export const retry: {
  readonly standardBackoff: RetryOptions;
  readonly exponentialBackoff: RetryOptions;
} = Object.freeze({
  /** 8 attempts; 0.5, 0.5, 0.9, 1.6, 2.9, 5.2, 9.4 seconds between them, up to doubled. */
  standardBackoff: Object.freeze({
    limit: 8,
    factor: 1.8,
    minTimeoutInMs: 500,
    maxTimeoutInMs: 30_000,
    randomize: true,
  }),
  /** 8 attempts; 1, 1, 2, 4, 8, 16, 30 seconds between them, up to doubled and capped at 30. */
  exponentialBackoff: Object.freeze({
    limit: 8,
    factor: 2,
    minTimeoutInMs: 1000,
    maxTimeoutInMs: 30_000,
    randomize: true,
  }),
});

interface OptionRule {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
}

const milliseconds: OptionRule = {
  expected: "a finite number of milliseconds, 0 or more",
  accepts: (value) => Number.isFinite(value) && Number(value) >= 0,
};

const rules: Readonly<Record<keyof ResolvedRetry, OptionRule>> = {
  limit: {
    expected: "a whole number of attempts, 0 or more",
    accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
  },
  factor: {
    expected: "a finite number above 0",
    accepts: (value) => Number.isFinite(value) && Number(value) > 0,
  },
  minTimeoutInMs: milliseconds,
  maxTimeoutInMs: milliseconds,
  randomize: { expected: "true or false", accepts: (value) => typeof value === "boolean" },
};

/**
 * Checks retry options and fills in the defaults. `undefined` means one attempt.
 * @throws ConfigError `OPTION_UNKNOWN` for a name that is no retry option, `OPTION_INVALID` for a
 * value out of range
 */
export function resolveRetry(options: RetryOptions | undefined): ResolvedRetry {
  if (options === undefined) return noRetry;
  if (typeof options !== "object" || options === null) {
    throw new ConfigError(
      "OPTION_INVALID",
      `retry is ${describeValue(options)}; pass an object such as { limit: 3 }.`,
    );
  }
  for (const [name, value] of Object.entries(options)) assertOption(name, value);
  return {
    limit: Math.max(options.limit ?? defaults.limit, 1),
    factor: options.factor ?? defaults.factor,
    minTimeoutInMs: options.minTimeoutInMs ?? defaults.minTimeoutInMs,
    maxTimeoutInMs: options.maxTimeoutInMs ?? defaults.maxTimeoutInMs,
    randomize: options.randomize ?? defaults.randomize,
  };
}

function assertOption(name: string, value: unknown): void {
  if (!Object.hasOwn(rules, name)) {
    throw new ConfigError(
      "OPTION_UNKNOWN",
      `retry has no option ${describeValue(name)}; its options are ${Object.keys(rules).join(", ")}.`,
    );
  }
  const rule = rules[name as keyof ResolvedRetry];
  if (value !== undefined && !rule.accepts(value)) {
    throw new ConfigError(
      "OPTION_INVALID",
      `retry.${name} is ${describeValue(value)}; pass ${rule.expected}.`,
    );
  }
}

/**
 * Whole milliseconds from the n-th failed attempt to the next one, or `undefined` when the attempts
 * are used up. The first two delays are equal.
 * @param failedAttempts attempts that failed so far, 1 after the first
 * @param random a source of numbers in [0, 1); called once if `randomize`, else never
 */
export function retryDelayMs(
  retry: ResolvedRetry,
  failedAttempts: number,
  random: () => number,
): number | undefined {
  if (failedAttempts >= retry.limit) return undefined;
  // Bounded, since Infinity times a minimum of 0 would be no number.
  const growth = Math.min(retry.factor ** Math.max(failedAttempts - 2, 0), Number.MAX_VALUE);
  const jitter = retry.randomize ? 1 + random() : 1;
  return Math.round(Math.min(retry.minTimeoutInMs * growth * jitter, retry.maxTimeoutInMs));
}
