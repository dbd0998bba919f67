import { describeValue, PayloadError } from "./errors.js";
import { maxValueDepth, parseRich, stringifyRich } from "./rich-values.js";

export { encodedBytes } from "./key.js";

/**
 * Turns the user's values into the text that is stored, and back. Everything that `run` sees has
 * passed through it, at the first execution as on each replay.
 */
export interface Codec {
  /** @param what how an error text calls the value, such as `"payload"` or `"output"` */
  encode(value: unknown, what?: string): string | Promise<string>;
  /** Gives the value, or a promise of it. */
  decode(text: string): unknown;
}

// No JSON text starts with it. A later format takes another such character.
const richMark = "~";
const undefinedText = "~-1";

/**
 * The codec of a client that names no other. It keeps JSON and `undefined`, `Date`, `Map`, `Set`,
 * `BigInt`, `URL`, typed arrays, `ArrayBuffer`, `NaN`, `-0`, `Infinity` and errors, nested
 * anywhere, with holes of arrays, shared references and cycles, up to 500 levels deep. JSON values
 * are stored as the JSON text itself.
 *
 * Some values come back simpler than they were:
 * - subclasses of built-ins as the built-in: a `Buffer` as a `Uint8Array`, a result list as an
 *   array
 * - typed arrays each over a buffer of their own with just the bytes in view
 * - objects without a prototype as plain objects
 * - arrays without properties other than their elements, objects without members that are not
 *   enumerable
 * - errors as `fromErrorRecord(toErrorRecord(error))`: bounded, and a `cause` is always an error
 *
 * Anything else (functions, symbols, promises, streams, class instances, regular expressions,
 * getters that throw) is refused, so a value with a `toJSON` method is too.
 */
export const defaultCodec: {
  /**
   * @param what how an error text calls the value; default `"output"`
   * @throws PayloadError `VALUE_NOT_SERIALIZABLE` naming the path, such as
   * `output.items[3].callback`
   */
  encode(value: unknown, what?: string): string;
  /** @throws PayloadError `VALUE_CORRUPT` for text that `encode` did not write */
  decode(text: string): unknown;
} = {
  encode(value, what = "output") {
    if (value === undefined) return undefinedText;
    return jsonText(value) ?? richMark + stringifyRich(value, what);
  },
  decode(text) {
    try {
      return text.startsWith(richMark) ? parseRich(text.slice(1)) : JSON.parse(text);
    } catch (cause) {
      throw new PayloadError(
        "VALUE_CORRUPT",
        `A stored value cannot be decoded: ${describeValue(text)}. It was changed outside of Pawl or written with another codec; restore it, or pass that codec to createClient.`,
        { cause },
      );
    }
  },
};

/** `undefined` if JSON would lose something of the value, or if looking at it throws. */
function jsonText(value: unknown): string | undefined {
  try {
    return isJson(value, new Seen(), 0) ? JSON.stringify(value) : undefined;
  } catch {
    return undefined;
  }
}

/** Finds cycles and shared references, which JSON loses. Most outputs are one flat object, for which a set would be a waste. */
class Seen {
  #first: object | undefined;
  #others: Set<object> | undefined;

  /** False if it was added before. */
  add(value: object): boolean {
    if (this.#first === undefined) {
      this.#first = value;
      return true;
    }
    this.#others ??= new Set([this.#first]);
    const { size } = this.#others;
    return this.#others.add(value).size > size;
  }
}

// On the path of every task.
function isJson(value: unknown, seen: Seen, depth: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0);
    case "object":
      return value === null || isJsonContainer(value, seen, depth);
    default:
      return false;
  }
}

function isJsonContainer(value: object, seen: Seen, depth: number): boolean {
  if (depth > maxValueDepth || !seen.add(value)) return false;
  // JSON.stringify would call it, also where no look at the members finds it.
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return false;
  if (Array.isArray(value)) return isJsonArray(value, seen, depth + 1);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  if (Object.getOwnPropertySymbols(value).length > 0) return false;
  for (const key of Object.keys(value)) {
    if (!isJson((value as Record<string, unknown>)[key], seen, depth + 1)) return false;
  }
  return true;
}

function isJsonArray(array: readonly unknown[], seen: Seen, depth: number): boolean {
  // Not `every`: it passes over holes, which read as undefined here and so are no JSON.
  for (let index = 0; index < array.length; index++) {
    if (!isJson(array[index], seen, depth)) return false;
  }
  return true;
}
