import { ConfigError } from "./errors.js";

/** A misspelt option must not be ignored: throws OPTION_UNKNOWN naming it. */
export function assertOptions(options: unknown, known: readonly string[], where: string): void {
  if (options !== undefined) assertGivenOptions(options, known, where);
}

/** The same for options that nothing can be done without. */
export function assertGivenOptions(
  options: unknown,
  known: readonly string[],
  where: string,
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new ConfigError(
      "OPTION_INVALID",
      `${where} takes an options object, got ${describe(options)}.`,
    );
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new ConfigError(
      "OPTION_UNKNOWN",
      `${where} has no option "${name}". Known options: ${known.join(", ")}.`,
      { details: { option: name } },
    );
  }
}

/** Throws OPTION_INVALID unless `value` is an integer within the bounds. */
export function assertInteger(
  value: unknown,
  what: string,
  { min, max = Number.MAX_SAFE_INTEGER }: { min: number; max?: number },
): asserts value is number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return;
  throw new ConfigError(
    "OPTION_INVALID",
    `${what} must be a whole number from ${min}${max === Number.MAX_SAFE_INTEGER ? "" : ` to ${max}`}, got ${describe(value)}.`,
  );
}

/** Throws OPTION_INVALID unless `value` is true or false. */
export function assertBoolean(value: unknown, what: string): void {
  if (typeof value === "boolean") return;
  throw new ConfigError("OPTION_INVALID", `${what} must be true or false, got ${describe(value)}.`);
}

/** Throws OPTION_INVALID unless `value` can be called. */
export function assertFunction(value: unknown, what: string): void {
  if (typeof value === "function") return;
  throw new ConfigError("OPTION_INVALID", `${what} must be a function, got ${describe(value)}.`);
}

/** Short text of any value for a message. */
export function describe(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value);
  if (value === null || typeof value !== "object") return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}
