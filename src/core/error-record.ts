import { type ErrorRecord, nonRetriableMark, ownFields, retryAtMark } from "./error-capture.js";
import {
  ConfigError,
  describeValue,
  type ErrorCode,
  errorCodes,
  NonRetriableError,
  PawlError,
  type PawlErrorOptions,
  PayloadError,
  RetryAfterError,
  RunError,
  StorageError,
  TaskError,
  TaskInterruptedError,
  WaitTimeoutError,
} from "./errors.js";

export { type ErrorRecord, toErrorRecord } from "./error-capture.js";

type Revive = (code: ErrorCode, message: string, options: PawlErrorOptions) => PawlError;

function reviverOf(
  ErrorClass: new (code: ErrorCode, message: string, options: PawlErrorOptions) => PawlError,
): Revive {
  return (code, message, options) => new ErrorClass(code, message, options);
}

const pawlErrors: ReadonlyMap<string, Revive> = new Map([
  ["PawlError", reviverOf(PawlError)],
  ["ConfigError", reviverOf(ConfigError)],
  ["PayloadError", reviverOf(PayloadError)],
  ["TaskError", reviverOf(TaskError)],
  ["RunError", reviverOf(RunError)],
  ["StorageError", reviverOf(StorageError)],
  ["WaitTimeoutError", (_, message, options) => new WaitTimeoutError(message, options)],
  ["TaskInterruptedError", (_, message, options) => new TaskInterruptedError(message, options)],
]);

// A closed list: no text in the storage may choose any other constructor.
const builtinErrors: ReadonlyMap<string, (message: string) => Error> = new Map([
  ["TypeError", (message) => new TypeError(message)],
  ["RangeError", (message) => new RangeError(message)],
  ["SyntaxError", (message) => new SyntaxError(message)],
  ["ReferenceError", (message) => new ReferenceError(message)],
  ["EvalError", (message) => new EvalError(message)],
  ["URIError", (message) => new URIError(message)],
  ["AggregateError", (message) => new AggregateError([], message)],
]);

/**
 * Makes an `Error` with the recorded name, message, stack, code, causes and details. Errors of
 * Pawl, `NonRetriableError`, `RetryAfterError` and built-in errors get their class back; any other
 * is an `Error` that carries the recorded name. The engine rejects with
 * `fromErrorRecord(toErrorRecord(error))` at the first execution too, so that a replay looks the
 * same.
 */
export function fromErrorRecord(record: ErrorRecord): Error {
  const pawlError = revivePawlError(record);
  const error = pawlError ?? revivePlainError(record);
  if (error.name !== record.name) hide(error, "name", record.name);
  // Without a recorded stack there is none: the place where it was revived says nothing.
  hide(error, "stack", record.stack);
  if (record.cause !== undefined) hide(error, "cause", fromErrorRecord(record.cause));
  if (record.errors !== undefined) hide(error, "errors", record.errors.map(fromErrorRecord));
  return error;
}

function revivePawlError(record: ErrorRecord): PawlError | undefined {
  if (record.code === undefined || !Object.hasOwn(errorCodes, record.code)) return undefined;
  const options = record.details === undefined ? {} : { details: { ...record.details } };
  return pawlErrors.get(record.name)?.(record.code as ErrorCode, record.message, options);
}

function revivePlainError(record: ErrorRecord): Error {
  const error = reviveIntent(record) ?? builtinErrors.get(record.name)?.(record.message);
  return withProperties(error ?? new Error(record.message), record);
}

function reviveIntent(record: ErrorRecord): Error | undefined {
  if (record.details?.[nonRetriableMark] === true) return new NonRetriableError(record.message);
  const retryAt = record.details?.[retryAtMark];
  const time = typeof retryAt === "string" ? Date.parse(retryAt) : Number.NaN;
  return Number.isNaN(time) ? undefined : new RetryAfterError(new Date(time), record.message);
}

function withProperties(error: Error, record: ErrorRecord): Error {
  if (record.code !== undefined) show(error, "code", record.code);
  for (const [key, value] of Object.entries(record.details ?? {})) {
    const reserved = ownFields.has(key) || key === nonRetriableMark || key === retryAtMark;
    if (!reserved) show(error, key, value);
  }
  return error;
}

// Defining, not assigning: the key `__proto__` is data like any other.
function show(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, {
    value,
    writable: true,
    configurable: true,
    enumerable: true,
  });
}

function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, configurable: true });
}

/** The record as the text that is stored. */
export function encodeErrorRecord(record: ErrorRecord): string {
  return JSON.stringify(record);
}

/** Reads what `encodeErrorRecord` wrote. @throws PayloadError `VALUE_CORRUPT` for any other text */
export function decodeErrorRecord(text: string): ErrorRecord {
  try {
    return asErrorRecord(JSON.parse(text));
  } catch (cause) {
    throw new PayloadError(
      "VALUE_CORRUPT",
      `A stored error cannot be read: ${describeValue(text)}. It was changed outside of Pawl; restore it from a backup.`,
      { cause },
    );
  }
}

/** Checks that data from the storage is a record. @throws TypeError that names the wrong field */
export function asErrorRecord(value: unknown): ErrorRecord {
  const fields = asObject(value, "error record");
  const record: ErrorRecord = {
    name: asText(fields.name, "name"),
    message: asText(fields.message, "message"),
  };
  if (fields.stack !== undefined) record.stack = asText(fields.stack, "stack");
  if (fields.code !== undefined) record.code = asText(fields.code, "code");
  if (fields.cause !== undefined) record.cause = asErrorRecord(fields.cause);
  if (fields.errors !== undefined) record.errors = asList(fields.errors).map(asErrorRecord);
  if (fields.details !== undefined) record.details = asObject(fields.details, "details");
  return record;
}

function asObject(value: unknown, field: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new TypeError(`${field} is ${describeValue(value)}, not an object`);
}

function asText(value: unknown, field: string): string {
  if (typeof value === "string") return value;
  throw new TypeError(`${field} is ${describeValue(value)}, not a string`);
}

function asList(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(`errors is ${describeValue(value)}, not an array`);
}
