import type { ErrorCode } from "./error-codes.js";

export { type ErrorCode, type ErrorConcern, errorCodes } from "./error-codes.js";

export interface PawlErrorOptions {
  readonly cause?: unknown;
  /** Facts for programs, such as ids and limits. JSON data only: it is stored with the error. */
  readonly details?: Record<string, unknown>;
}

export interface PayloadIssue {
  /** Where in the payload; empty for the payload as a whole. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

// A bundler may load the library twice, and `instanceof` knows only one copy: brands are shared by
// all of them.
const pawlBrand = Symbol.for("pawl.error");
const nonRetriableBrand = Symbol.for("pawl.nonRetriable");
const retryAfterBrand = Symbol.for("pawl.retryAfter");

/** Puts the name on the prototype: `stack` starts with it then, and minified builds keep it. */
function describeClass(prototype: object, name: string, brand?: symbol): void {
  Object.defineProperty(prototype, "name", { value: name, writable: true, configurable: true });
  if (brand !== undefined) Object.defineProperty(prototype, brand, { value: true });
}

function causeOf(options: { readonly cause?: unknown } | undefined): ErrorOptions | undefined {
  return options?.cause === undefined ? undefined : { cause: options.cause };
}

/**
 * Reads a property of anything at all; `undefined` if a getter or proxy throws. For values that
 * users threw.
 */
export function readSafely(value: unknown, key: PropertyKey): unknown {
  try {
    return (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}

/** Base class of every error that Pawl itself makes. Branch on `code`, never on the text. */
export class PawlError extends Error {
  readonly code: ErrorCode;
  declare readonly details?: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options?: PawlErrorOptions) {
    super(message, causeOf(options));
    this.code = code;
    if (options?.details !== undefined) this.details = options.details;
  }
}
describeClass(PawlError.prototype, "PawlError", pawlBrand);

/**
 * A definition or an option is wrong. Thrown where the mistake is made, before anything is stored.
 */
export class ConfigError extends PawlError {}
describeClass(ConfigError.prototype, "ConfigError");

/** A value from the user does not fit its schema, or cannot be stored or read back. */
export class PayloadError extends PawlError {
  /** What the schema found, one entry per problem; empty when no schema was involved. */
  get issues(): readonly PayloadIssue[] {
    const issues = this.details?.issues;
    return Array.isArray(issues) ? issues : [];
  }
}
describeClass(PayloadError.prototype, "PayloadError");

/** Something about one task or one `io` call went wrong. */
export class TaskError extends PawlError {}
describeClass(TaskError.prototype, "TaskError");

/** Something about a run as a whole went wrong. */
export class RunError extends PawlError {}
describeClass(RunError.prototype, "RunError");

/** The storage or its driver failed or refused. */
export class StorageError extends PawlError {}
describeClass(StorageError.prototype, "StorageError");

/** A wait inside a run reached its timeout (`WAIT_TIMEOUT`). */
export class WaitTimeoutError extends TaskError {
  constructor(message: string, options?: PawlErrorOptions) {
    super("WAIT_TIMEOUT", message, options);
  }
}
describeClass(WaitTimeoutError.prototype, "WaitTimeoutError");

/** A process died inside an at-most-once task, which is not tried again (`TASK_INTERRUPTED`). */
export class TaskInterruptedError extends TaskError {
  constructor(message: string, options?: PawlErrorOptions) {
    super("TASK_INTERRUPTED", message, options);
  }
}
describeClass(TaskInterruptedError.prototype, "TaskInterruptedError");

/**
 * True for an error made by any copy of this library; with `code`, for that code only. Never
 * throws.
 */
export function isPawlError(error: unknown, code?: ErrorCode): error is PawlError {
  return (
    readSafely(error, pawlBrand) === true &&
    (code === undefined || readSafely(error, "code") === code)
  );
}

/**
 * Throw it from a task to fail at once, whatever `retry` says. Tasks around it that do not catch it
 * stop retrying too.
 * @example throw new NonRetriableError("card was declined", { cause: error });
 */
export class NonRetriableError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, causeOf(options));
  }
}
describeClass(NonRetriableError.prototype, "NonRetriableError", nonRetriableBrand);

/**
 * Throw it from a task to say when the next attempt may start, instead of the delay from `retry`.
 * Attempts stay bounded by `retry.limit`.
 * @throws ConfigError `OPTION_INVALID` if `retryAt` is not a valid `Date`.
 */
export class RetryAfterError extends Error {
  readonly retryAt: Date;

  constructor(retryAt: Date, message?: string, options?: { readonly cause?: unknown }) {
    const time = timeOf(retryAt);
    if (time === undefined) {
      throw new ConfigError(
        "OPTION_INVALID",
        `RetryAfterError got ${describeValue(retryAt)} as retryAt; pass a valid Date, such as new Date(response.headers.get("x-reset")).`,
      );
    }
    super(message ?? `Retry after ${new Date(time).toISOString()}`, causeOf(options));
    this.retryAt = new Date(time);
  }
}
describeClass(RetryAfterError.prototype, "RetryAfterError", retryAfterBrand);

/** True for a `NonRetriableError` of any copy of this library. Never throws. */
export function isNonRetriable(error: unknown): boolean {
  return readSafely(error, nonRetriableBrand) === true;
}

/**
 * When a `RetryAfterError` of any copy of this library asks to be tried again; `undefined` for any
 * other value. Never throws.
 */
export function retryAfterOf(error: unknown): Date | undefined {
  if (readSafely(error, retryAfterBrand) !== true) return undefined;
  const time = timeOf(readSafely(error, "retryAt"));
  return time === undefined ? undefined : new Date(time);
}

/** Milliseconds of a valid `Date` of any realm. */
function timeOf(value: unknown): number | undefined {
  try {
    const time = Date.prototype.getTime.call(value);
    return Number.isNaN(time) ? undefined : time;
  } catch {
    return undefined;
  }
}

const shownLength = 80;

/**
 * A value as error texts show it: strings quoted, containers by kind only, at most about 80
 * characters. Never throws and runs no code of the value's.
 */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > shownLength ? shorten(value) : value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "object":
      return describeObject(value);
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

function shorten(text: string): string {
  const halfPairAtEnd = /[\ud800-\udbff]$/;
  return `${text.slice(0, shownLength).replace(halfPairAtEnd, "")}…`;
}

function describeObject(value: object | null): string {
  if (value === null) return "null";
  try {
    if (Array.isArray(value)) return `an array of ${value.length}`;
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
    if (tag !== "Object") return `an object of type ${tag}`;
    return typeof name === "string" && name !== "Object" && name !== ""
      ? `an instance of ${name}`
      : "an object";
  } catch {
    return "an object";
  }
}
