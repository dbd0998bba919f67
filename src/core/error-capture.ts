import { describeValue, isNonRetriable, isPawlError, readSafely, retryAfterOf } from "./errors.js";
import { cleanText, encodedBytes } from "./key.js";

/** An error as data: JSON only, bounded in size, well-formed text without U+0000. */
export interface ErrorRecord {
  /**
   * The error's `name`, or its class when that says more; `"NonError"` if something else was
   * thrown.
   */
  name: string;
  message: string;
  stack?: string;
  /** The error's `code` if it is a string, such as `"ECONNRESET"` or an `ErrorCode`. */
  code?: string;
  cause?: ErrorRecord;
  /** Members of an `AggregateError`. */
  errors?: ErrorRecord[];
  /** `details` of a `PawlError`; of any other error its own scalar properties, such as `status`. */
  details?: Record<string, unknown>;
}

/** Limits on a record. Text beyond them ends with a mark that says so. */
export interface ErrorRecordCaps {
  /** UTF-8 bytes of each message, at least 64. Default 8192. */
  readonly message?: number;
  /** UTF-8 bytes of each stack, at least 64. Default 16384. */
  readonly stack?: number;
  /** Causes (and members of `errors`) below the error itself. Default 8. */
  readonly causeDepth?: number;
}

const maxNameBytes = 256;
const maxDetailBytes = 1024;
const maxDetailDepth = 6;
const maxProperties = 16;
const smallestCap = 64;
/**
 * Keys in `details` that keep what a `NonRetriableError` or `RetryAfterError` asked for, subclasses
 * included.
 */
export const nonRetriableMark = "pawl.nonRetriable";
export const retryAtMark = "pawl.retryAt";
/** Properties of an error that a record keeps in fields of their own. */
export const ownFields: ReadonlySet<string> = new Set([
  "name",
  "message",
  "stack",
  "cause",
  "errors",
]);

interface Walk {
  readonly message: number;
  readonly stack: number;
  readonly causeDepth: number;
  readonly ancestors: Set<unknown>;
  errorsLeft: number;
  valuesLeft: number;
}

/**
 * Describes anything that was thrown. Never throws, whatever getters and proxies do. Causes stop at
 * a cycle, at `causeDepth`, and at 32 errors in all; details stop at 500 values.
 */
export function toErrorRecord(error: unknown, caps?: ErrorRecordCaps): ErrorRecord {
  const walk: Walk = {
    message: Math.max(caps?.message ?? 8192, smallestCap),
    stack: Math.max(caps?.stack ?? 16_384, smallestCap),
    causeDepth: caps?.causeDepth ?? 8,
    ancestors: new Set(),
    errorsLeft: 32,
    valuesLeft: 500,
  };
  return recordOf(error, walk);
}

function recordOf(error: unknown, walk: Walk): ErrorRecord {
  walk.errorsLeft -= 1;
  const record: ErrorRecord = {
    name: isError(error) ? cut(nameOf(error), maxNameBytes) : "NonError",
    message: cut(messageOf(error, walk), walk.message),
  };
  if (typeof error !== "object" || error === null) return record;
  const stack = readSafely(error, "stack");
  if (typeof stack === "string") record.stack = cut(stack, walk.stack);
  const code = readSafely(error, "code");
  if (typeof code === "string") record.code = cut(code, maxNameBytes);
  const details = detailsOf(error, walk);
  if (details !== undefined) record.details = details;
  addRelated(record, error, walk);
  return record;
}

function addRelated(record: ErrorRecord, error: object, walk: Walk): void {
  if (walk.ancestors.size >= walk.causeDepth) return;
  walk.ancestors.add(error);
  const related = (value: unknown): ErrorRecord[] =>
    walk.errorsLeft <= 0 || walk.ancestors.has(value) ? [] : [recordOf(value, walk)];
  const cause = readSafely(error, "cause");
  const [causeRecord] = cause === undefined ? [] : related(cause);
  if (causeRecord !== undefined) record.cause = causeRecord;
  const members = membersOf(error, walk.errorsLeft);
  if (members !== undefined) record.errors = members.flatMap(related);
  walk.ancestors.delete(error);
}

function membersOf(error: object, limit: number): unknown[] | undefined {
  return attempt(() => {
    const errors = readSafely(error, "errors");
    return Array.isArray(errors) ? Array.from(errors.slice(0, limit)) : undefined;
  });
}

/** True for errors of any realm and any copy of this library. Never throws. */
export function isError(value: unknown): boolean {
  // By tag too: an Error from another realm (a vm context, as test runners use) is no instance of
  // ours.
  const byClass = attempt(
    () => value instanceof Error || Object.prototype.toString.call(value) === "[object Error]",
  );
  return byClass === true || isPawlError(value);
}

function nameOf(error: unknown): string {
  const name = readSafely(error, "name");
  if (typeof name === "string" && name !== "" && name !== "Error") return name;
  const className = readSafely(readSafely(error, "constructor"), "name");
  return typeof className === "string" && className !== "" ? className : "Error";
}

function messageOf(error: unknown, walk: Walk): string {
  if (typeof error === "string") return error;
  if (typeof error !== "object" || error === null) return describeValue(error);
  const message = readSafely(error, "message");
  if (typeof message === "string") return message;
  return isError(error) ? describeValue(message) : JSON.stringify(plainData(error, walk, 0));
}

function detailsOf(error: object, walk: Walk): Record<string, unknown> | undefined {
  const details = isPawlError(error)
    ? plainObject(readSafely(error, "details"), walk)
    : scalarProperties(error);
  const retryAt = retryAfterOf(error);
  if (retryAt !== undefined) details[retryAtMark] = retryAt.toISOString();
  if (isNonRetriable(error)) details[nonRetriableMark] = true;
  return Object.keys(details).length === 0 ? undefined : details;
}

function scalarProperties(error: object): Record<string, unknown> {
  const properties = new Map<string, unknown>();
  for (const key of attempt(() => Object.keys(error)) ?? []) {
    const value = readSafely(error, key);
    const taken = ownFields.has(key) || (key === "code" && typeof value === "string");
    if (!taken && isScalar(value) && properties.size < maxProperties) {
      properties.set(cut(key, maxNameBytes), storableScalar(value));
    }
  }
  return Object.fromEntries(properties);
}

type Scalar = string | number | boolean | null;

function isScalar(value: unknown): value is Scalar {
  return (
    typeof value === "string" ||
    typeof value === "boolean" ||
    Number.isFinite(value) ||
    value === null
  );
}

function storableScalar(value: Scalar): Scalar {
  if (typeof value === "string") return cut(value, maxDetailBytes);
  // JSON has no -0, and a record must be the same before and after it was stored.
  return value === 0 ? 0 : value;
}

function plainObject(value: unknown, walk: Walk): Record<string, unknown> {
  const plain = value === undefined ? undefined : plainData(value, walk, 0);
  return typeof plain === "object" && plain !== null && !Array.isArray(plain) ? { ...plain } : {};
}

/** A bounded copy as JSON data; what is no data is described in words. */
function plainData(value: unknown, walk: Walk, depth: number): unknown {
  walk.valuesLeft -= 1;
  if (isScalar(value)) return storableScalar(value);
  const copy =
    typeof value === "object" && value !== null && depth < maxDetailDepth
      ? attempt(() => plainContainer(value, walk, depth + 1))
      : undefined;
  return copy ?? cut(describeValue(value), maxDetailBytes);
}

function plainContainer(value: object, walk: Walk, depth: number): unknown {
  if (value instanceof Date) return value.toISOString();
  const copies: [string, unknown][] = [];
  for (const key of Object.keys(value)) {
    if (walk.valuesLeft <= 0) break;
    const item: unknown = (value as Record<string, unknown>)[key];
    if (item !== undefined) copies.push([cut(key, maxNameBytes), plainData(item, walk, depth)]);
  }
  return Array.isArray(value) ? copies.map(([, copy]) => copy) : Object.fromEntries(copies);
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function cut(text: string, maxBytes: number): string {
  // A text of more UTF-16 units has more bytes too, so a huge one is never looked at in full.
  const clean = cleanText(text.length > maxBytes ? text.slice(0, maxBytes + 1) : text);
  if (encodedBytes(clean) <= maxBytes) return clean;
  const mark = ` … [cut at ${maxBytes} bytes]`;
  return prefixOf(clean, maxBytes - encodedBytes(mark)) + mark;
}

function prefixOf(text: string, maxBytes: number): string {
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += encodedBytes(character);
    if (bytes > maxBytes) break;
    end += character.length;
  }
  return text.slice(0, end);
}
