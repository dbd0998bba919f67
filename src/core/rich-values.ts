import {
  DevalueError,
  type ParseOperations,
  parse,
  type StringifyOperations,
  stringify,
} from "devalue";
import { isError, toErrorRecord } from "./error-capture.js";
import { asErrorRecord, fromErrorRecord } from "./error-record.js";
import { describeValue, PayloadError } from "./errors.js";

/** Deeper values are refused: a process with less stack left could not read them back. */
export const maxValueDepth = 500;

/**
 * Text of a value that is more than JSON: devalue's format, held to the codec's rules. Regular
 * expressions, boxed primitives and class instances that look plain, all of which devalue would
 * take, are refused.
 * @throws PayloadError `VALUE_NOT_SERIALIZABLE` naming the path below `what`
 */
export function stringifyRich(value: unknown, what: string): string {
  try {
    const operations = operationsFor(value);
    return escapeSurrogates(stringify(value, { Error: reduceError }, { operations }));
  } catch (error) {
    throw notSerializable(error, what);
  }
}

/** Inverse of `stringifyRich`. @throws anything at all for text that it did not write */
export function parseRich(text: string): unknown {
  return parse(text, { Error: reviveError }, { operations: writtenOnly });
}

// In the place of a member they make devalue stop there and tell the path.
const unreadable = Symbol("unreadable");
const tooDeep = Symbol("tooDeep");

/**
 * Sees built-ins for what they are, whatever methods and tags user code has given them, and stops
 * at what cannot be read or lies too deep.
 */
function operationsFor(root: unknown): Partial<StringifyOperations> {
  const depths = new Map([[root, 0]]);
  const member = (parent: unknown, child: unknown): unknown => {
    if (typeof child !== "object" || depths.has(child)) return child;
    const depth = (depths.get(parent) ?? 0) + 1;
    depths.set(child, depth);
    return depth > maxValueDepth ? tooDeep : child;
  };
  // One literal with fixed names: spreading parts together made small values five times slower.
  return {
    tagOf,
    isThenable,
    toISOString,
    toStringValue,
    viewInfo,
    shapeOf,
    get: (parent, key) => member(parent, read(parent, key)),
    valuesOf: (set) => Array.from(setValues.call(set), (value) => member(set, value)),
    entriesOf: (map) =>
      Array.from(mapEntries.call(map), ([key, value]) => [member(map, key), member(map, value)]),
  };
}

function read(parent: Record<string | number, unknown>, key: string | number): unknown {
  try {
    return parent[unescapeKey(key)];
  } catch {
    return unreadable;
  }
}

const setValues = Set.prototype.values;
const mapEntries = Map.prototype.entries;
const typedArrayPrototype: object = Object.getPrototypeOf(Uint8Array.prototype);

// A tag can be forged. These read an internal slot, and throw for an object that has none.
const probes: ReadonlyMap<string, (value: unknown) => unknown> = new Map([
  ["Date", (value) => Date.prototype.getTime.call(value)],
  ["Map", (value) => Map.prototype.has.call(value, 0)],
  ["Set", (value) => Set.prototype.has.call(value, 0)],
  ["URL", hrefOf],
  ["ArrayBuffer", (value) => ArrayBuffer.prototype.slice.call(value, 0, 0)],
]);

const isThenable = (): boolean => false;

function tagOf(value: unknown): string {
  try {
    if (Array.isArray(value)) return "Array";
    const viewTag: unknown = Reflect.get(typedArrayPrototype, Symbol.toStringTag, value);
    if (typeof viewTag === "string") return viewTag;
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    return probes.get(tag)?.(value) === undefined ? "Object" : tag;
  } catch {
    return "Object";
  }
}

function toISOString(date: unknown): string {
  const isValid = !Number.isNaN(Date.prototype.getTime.call(date));
  return isValid ? Date.prototype.toISOString.call(date) : "";
}

function toStringValue(url: unknown): string {
  return String(hrefOf(url));
}

type ViewInfo = ReturnType<StringifyOperations["viewInfo"]>;

function viewInfo(view: Uint8Array): ViewInfo {
  // Only the bytes in view: the rest of its buffer may be a pool with other data in it.
  const bytes = new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  const { buffer, byteLength } = bytes;
  return { buffer, byteOffset: 0, byteLength, length: view.length, bufferByteLength: byteLength };
}

function shapeOf(value: object): ReturnType<StringifyOperations["shapeOf"]> {
  if (!isPlainObject(value)) return { kind: "not-plain" };
  if (hasSymbolKeys(value)) return { kind: "symbol-keys" };
  return { kind: "plain", keys: Object.keys(value).map(escapeKey) };
}

function hrefOf(url: unknown): unknown {
  return Reflect.get(URL.prototype, "href", url);
}

function isPlainObject(value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return true;
  // The Object.prototype of another realm, such as the vm context of a test runner.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

function hasSymbolKeys(value: object): boolean {
  return Object.getOwnPropertySymbols(value).some((key) =>
    Object.prototype.propertyIsEnumerable.call(value, key),
  );
}

/** What `stringifyRich` never writes is never made: text in a storage is no code. */
const writtenOnly: Partial<ParseOperations> = {
  fromRegExpInfo: () => refuse("a regular expression"),
  box: () => refuse("a boxed primitive"),
  createNullPrototypeObject: () => refuse("an object without prototype"),
  fromStringValue: (tag, text) => (tag === "URL" ? new URL(text) : refuse(tag)),
  set: (target, key, value) => {
    const name = unescapeKey(key);
    if (name !== "__proto__") target[name] = value;
    else Object.defineProperty(target, name, { value, ...dataProperty });
  },
};

const dataProperty = { writable: true, configurable: true, enumerable: true };

function refuse(thing: string): never {
  throw new TypeError(`The text holds ${thing}, which Pawl never writes`);
}

// devalue takes no key `__proto__`. It gets one more underscore, as does each key that looks like
// the result.
function escapeKey(key: string): string {
  return /^__+proto__$/.test(key) ? `_${key}` : key;
}

function unescapeKey(key: string | number): string | number {
  return typeof key === "string" && /^___+proto__$/.test(key) ? key.slice(1) : key;
}

// devalue leaves lone surrogates in the text, and no UTF-8 database would give them back.
function escapeSurrogates(text: string): string {
  return text.replace(/\p{Surrogate}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
}

function reduceError(value: unknown): unknown {
  return typeof value === "object" && isError(value) ? toErrorRecord(value) : undefined;
}

function reviveError(record: unknown): Error {
  return fromErrorRecord(asErrorRecord(record));
}

function notSerializable(error: unknown, what: string): PayloadError {
  if (!(error instanceof DevalueError)) {
    const message = `${what} cannot be stored, because reading it threw; pass plain data instead.`;
    return new PayloadError("VALUE_NOT_SERIALIZABLE", message, { cause: error });
  }
  const { path } = error;
  const place = what + (path.length > 200 ? `${path.slice(0, 200)}…` : path);
  return new PayloadError(
    "VALUE_NOT_SERIALIZABLE",
    `${place} ${problemOf(error.value)} and cannot be stored; use plain data there: JSON, undefined, Date, Map, Set, BigInt, URL, typed arrays, errors.`,
    { details: { path: place } },
  );
}

function problemOf(value: unknown): string {
  if (value === unreadable) return "has a getter that throws";
  if (value === tooDeep) return `is nested more than ${maxValueDepth} levels deep`;
  if (typeof value === "object" && value !== null && isPlainObject(value)) return "has symbol keys";
  return `is ${describeValue(value)}`;
}
