import { ConfigError, describeValue, TaskError } from "./errors.js";

/**
 * What names a remembered call among its siblings: a string, or an array of JSON scalars such as
 * `["send", user.id]`. `"1"`, `[1]` and `["1"]` are three keys. At most 512 bytes once encoded.
 */
export type Key = string | readonly (string | number | boolean | null)[];

const maxKeyBytes = 512;
const maxTextBytes = 512;

// Printable ASCII that needs no escape: what nearly every key is made of.
const plainKey = /^(?!\[)[ -$&-.0-~]+$/;
const unstorable = /[\0\p{Surrogate}]/u;
const everyUnstorable = /[\0\p{Surrogate}]/gu;
const nonAscii = /[\u0080-\uffff]/;

/**
 * UTF-8 length of a text in bytes. A lone surrogate counts as U+FFFD, which encoders make of it.
 */
export function encodedBytes(text: string): number {
  if (!nonAscii.test(text)) return text.length;
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    // Both halves of a pair together take four bytes, of which this unit has had three.
    if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(index + 1))) index++;
  }
  return bytes;
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** Makes any text storable everywhere: lone surrogates and U+0000 become U+FFFD. */
export function cleanText(text: string): string {
  return text.replace(everyUnstorable, "\ufffd");
}

/**
 * Checks a string that is stored and looked up: tags, names, idempotency keys, event ids.
 * @param what how the error text calls it, for instance `"idempotencyKey"`
 * @param options `maxBytes` in UTF-8, default 512: databases index these strings, and their index
 * entries are bounded
 * @throws ConfigError `OPTION_INVALID` if it is not a non-empty, well-formed string without U+0000
 * of at most `maxBytes`
 */
export function assertText(
  value: string,
  what: string,
  options?: { readonly maxBytes?: number },
): void {
  const problem = textProblem(value, options?.maxBytes ?? maxTextBytes);
  if (problem !== undefined) {
    throw new ConfigError(
      "OPTION_INVALID",
      `${what} is ${describeValue(value)}, which ${problem}.`,
    );
  }
}

function textProblem(value: unknown, maxBytes: number): string | undefined {
  if (typeof value !== "string") return "is not a string; pass a string";
  if (value === "") return "is empty; pass at least one character";
  if (unstorable.test(value)) return "holds U+0000 or half of a surrogate pair; remove it";
  if (exceeds(value, maxBytes)) return `is longer than ${maxBytes} bytes; shorten or hash it`;
  return undefined;
}

function exceeds(text: string, maxBytes: number): boolean {
  // No UTF-16 unit takes more than three bytes, so short texts need no count.
  return text.length * 3 > maxBytes && encodedBytes(text) > maxBytes;
}

/**
 * A key as one segment of a task's path: readable, and different for different keys. `%` and `/`
 * are escaped as in URLs, an array is its JSON text, and a string that starts with `[` has that
 * escaped too.
 * @throws TaskError `KEY_INVALID` if it is empty, longer than 512 bytes encoded, not storable text,
 * or not made of JSON scalars
 */
export function keySegment(key: Key): string {
  if (typeof key !== "string") return arraySegment(key);
  if (plainKey.test(key) && key.length <= maxKeyBytes) return key;
  const segment = escapeSeparators(key).replace(/^\[/, "%5B");
  return checkedSegment(segment, key);
}

function arraySegment(key: Exclude<Key, string>): string {
  if (!Array.isArray(key)) {
    throw invalidKey(
      describeValue(key),
      "it must be a string or an array of strings, numbers, booleans and null",
    );
  }
  if (key.length === 0) throw invalidKey("[]", "an array needs at least one element");
  // Not `every`: it passes over the holes of a sparse array.
  for (let index = 0; index < key.length; index++) assertElement(key[index], index);
  const text = JSON.stringify(key);
  return checkedSegment(escapeSeparators(text), text);
}

function assertElement(element: unknown, index: number): void {
  const scalar =
    element === null ||
    typeof element === "boolean" ||
    Number.isFinite(element) ||
    typeof element === "string";
  if (!scalar) {
    throw invalidKey(
      describeValue(element),
      `element ${index} must be a string, a finite number, a boolean or null`,
    );
  }
  if (typeof element === "string" && unstorable.test(element)) {
    throw invalidKey(
      describeValue(element),
      `element ${index} holds U+0000 or half of a surrogate pair`,
    );
  }
}

function checkedSegment(segment: string, shown: string): string {
  const problem = textProblem(segment, maxKeyBytes);
  if (problem !== undefined) throw invalidKey(describeValue(shown), `it ${problem}`);
  return segment;
}

function invalidKey(shown: string, problem: string): TaskError {
  return new TaskError("KEY_INVALID", `Key ${shown} cannot be used: ${problem}.`);
}

function escapeSeparators(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("/", "%2F");
}

/**
 * Path of a task under `parentPath`, where `""` is the run itself.
 * @throws TaskError `KEY_INVALID` as `keySegment` does
 */
export function childPath(parentPath: string, key: Key): string {
  const segment = keySegment(key);
  return parentPath === "" ? segment : `${parentPath}/${segment}`;
}

/** The segments of a path, outermost first; none for the run itself (`""`). */
export function pathSegments(path: string): string[] {
  return path === "" ? [] : path.split("/");
}

/**
 * Path of the enclosing task, or `""` when that is the run itself. The run's own parent is `""` as
 * well.
 */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}

/**
 * The key that `keySegment` made this segment from.
 * @throws TaskError `KEY_INVALID` if it made no such segment
 */
export function keyOfSegment(segment: string): Key {
  const text = segment.replace(/%(25|2F|5B)/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const key = segment.startsWith("[") ? parsedKey(text) : text;
  if (key === undefined || keySegment(key) !== segment) {
    throw invalidKey(describeValue(segment), "this path segment was not made from a key");
  }
  return key;
}

function parsedKey(text: string): Key | undefined {
  try {
    return JSON.parse(text) as Key;
  } catch {
    return undefined;
  }
}
