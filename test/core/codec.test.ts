import { isDeepStrictEqual } from "node:util";
import { runInNewContext } from "node:vm";
import { stringify } from "devalue";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { type Codec, defaultCodec } from "../../src/core/codec.js";
import { isNonRetriable, NonRetriableError, RunError } from "../../src/core/errors.js";
import { cleanText } from "../../src/core/key.js";

const clientAccepts: Codec = defaultCodec;

function roundTrip<T>(value: T): T {
  return defaultCodec.decode(defaultCodec.encode(value)) as T;
}

/** Unlike toStrictEqual it takes a member named `constructor` for data. */
function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
  expect(isDeepStrictEqual(actual, expected)).toBe(true);
}

const pristine = JSON.stringify(Reflect.ownKeys(Object.prototype).map(String));
afterEach(() => {
  expect(JSON.stringify(Reflect.ownKeys(Object.prototype).map(String))).toBe(pristine);
});

const nastyKeys = fc.constantFrom(
  "__proto__",
  "___proto__",
  "____proto__",
  "proto__",
  "constructor",
  "prototype",
  "toJSON",
  "then",
  "hasOwnProperty",
  "~",
  "-1",
  "0",
  "",
);
const lookAlikes = fc
  .constantFrom<unknown>(
    "~",
    "~-1",
    '~["Date","2020-01-01"]',
    ["Date", "2020-01-01T00:00:00.000Z"],
    ["Error", 1],
    ["RegExp", "(a+)+$"],
    ["Map", 1, 2],
    ["null"],
    [-1],
    [-7, 5, 0, 1],
    { type: "Buffer", data: [1, 2] },
    { $type: "date", value: 1 },
    { name: "Error", message: "m", stack: "s" },
    "[0]",
  )
  // Each its own, since one array at two places is more than JSON.
  .map((value) => structuredClone(value));
const text = fc.oneof(fc.string({ unit: "binary" }), fc.string(), nastyKeys);

const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small" },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.boolean(),
    fc.constant(null),
    lookAlikes,
    fc.array(tie("json"), { maxLength: 5 }),
    dictionary(tie("json")),
  ),
}));

const { rich } = fc.letrec<{ rich: unknown }>((tie) => ({
  rich: fc.oneof(
    { depthSize: "small" },
    json,
    fc.constant(undefined),
    fc.double(),
    fc.bigInt(),
    fc.date({ noInvalidDate: true }),
    fc.webUrl().map((url) => new URL(url)),
    fc.uint8Array(),
    fc.uint8ClampedArray(),
    fc.int16Array(),
    fc.uint32Array(),
    fc.float32Array(),
    fc.float64Array(),
    fc.bigInt64Array(),
    fc.bigUint64Array(),
    fc.uint8Array().map((bytes) => bytes.buffer),
    fc.array(tie("rich"), { maxLength: 5 }),
    fc.sparseArray(tie("rich"), { maxLength: 30, maxNumElements: 5 }),
    fc.array(tie("rich"), { maxLength: 5 }).map((members) => new Set(members)),
    fc
      .array(fc.tuple(tie("rich"), tie("rich")), { maxLength: 5 })
      .map((entries) => new Map(entries)),
    dictionary(tie("rich")),
  ),
}));

function dictionary(values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  // Not fc.dictionary: its objects would lose the key __proto__.
  const entries = fc.array(fc.tuple(fc.oneof(text, nastyKeys), values), { maxLength: 5 });
  return entries.map((pairs) => Object.fromEntries(pairs));
}

describe("any value that can be kept", () => {
  test("comes back equal if it is JSON, and its text is the JSON text", () => {
    fc.assert(
      fc.property(json, (value) => {
        expectSame(roundTrip(value), value);
        expect(defaultCodec.encode(value)).toBe(JSON.stringify(value));
      }),
      { numRuns: 500 },
    );
  });

  test("comes back equal if it is more than JSON", () => {
    fc.assert(
      fc.property(rich, (value) => {
        expectSame(roundTrip(value), value);
      }),
      { numRuns: 1000 },
    );
  });

  test("comes back equal twice, from the same text, which every database can store", () => {
    fc.assert(
      fc.property(rich, (value) => {
        const encoded = defaultCodec.encode(value);
        expect(cleanText(encoded)).toBe(encoded);
        expect(defaultCodec.encode(defaultCodec.decode(encoded))).toBe(encoded);
      }),
      { numRuns: 1000 },
    );
  });

  test("is a value of its own: later changes to the original do not show", () => {
    const original = { list: [1], at: new Date(5) };
    const encoded = defaultCodec.encode(original);
    original.list.push(2);
    original.at.setTime(6);
    expect(defaultCodec.decode(encoded)).toEqual({ list: [1], at: new Date(5) });
  });
});

describe("the text", () => {
  test.each<[unknown, string]>([
    [{ a: [1, "b", null, true] }, '{"a":[1,"b",null,true]}'],
    ["~-1", '"~-1"'],
    [null, "null"],
    [undefined, "~-1"],
    [Number.NaN, "~-3"],
    [-0, "~-6"],
    [5n, '~[["BigInt","5"]]'],
    ["\0\ud800", '"\\u0000\\ud800"'],
    [["\0\ud800", undefined], '~[[1,-1],"\\u0000\\ud800"]'],
    [{ at: new Date(0) }, '~[{"at":1},["Date","1970-01-01T00:00:00.000Z"]]'],
    [[new Date(Number.NaN)], '~[[1],["Date",""]]'],
  ])("of %o is %s", (value, encoded) => {
    expect(defaultCodec.encode(value)).toBe(encoded);
    expect(roundTrip(value)).toStrictEqual(value);
  });
});

describe("numbers, holes and references", () => {
  test("undefined, null, nothing, NaN, -0 and Infinity are all different", () => {
    const value = { a: undefined, b: null, c: [Number.NaN, -0, 0, Number.POSITIVE_INFINITY] };
    const copy = roundTrip(value);
    expect(copy).toStrictEqual(value);
    expect(Object.keys(copy)).toEqual(["a", "b", "c"]);
    expect(Object.is(copy.c[1], -0)).toBe(true);
    expect(Object.is(copy.c[2], 0)).toBe(true);
  });

  test("holes of an array stay holes", () => {
    const sparse: unknown[] = [1];
    sparse[9] = { a: 1 };
    expect(Object.keys(roundTrip(sparse))).toEqual(["0", "9"]);
    const copy = roundTrip(new Array(3));
    expect(copy).toHaveLength(3);
    expect(0 in copy).toBe(false);
    const huge: unknown[] = [];
    huge[4_000_000_000] = "end";
    expect(roundTrip(huge)).toHaveLength(4_000_000_001);
  });

  test("one object at two places is one object again, in plain JSON too", () => {
    const shared = { a: 1 };
    const [first, second] = roundTrip([shared, shared]);
    expect(first).toEqual(shared);
    expect(first).toBe(second);
  });

  test("cycles come back as cycles, through every container", () => {
    const object: Record<string, unknown> = {};
    const map = new Map<unknown, unknown>([["object", object]]);
    const set = new Set<unknown>([map]);
    Object.assign(object, { list: [set], own: object });
    Object.defineProperty(object, "__proto__", { value: object, enumerable: true });
    const copy = roundTrip(object) as { list: Set<Map<string, unknown>>[]; own: unknown };
    expect(copy.own).toBe(copy);
    expect(Object.getOwnPropertyDescriptor(copy, "__proto__")?.value).toBe(copy);
    const [copiedMap] = copy.list[0] ?? [];
    expect(copiedMap?.get("object")).toBe(copy);
  });

  test("a value that doubles at each level stays small", () => {
    let value: unknown = "end";
    for (let level = 0; level < 100; level++) value = [value, value];
    expect(defaultCodec.encode(value).length).toBeLessThan(2000);
  });
});

describe("values that come back simpler", () => {
  test("a Buffer is a Uint8Array with the bytes in view and no others", () => {
    const pool = Buffer.from("secret-visible-secret");
    const encoded = defaultCodec.encode(pool.subarray(7, 14));
    const copy = defaultCodec.decode(encoded);
    expect(copy).toStrictEqual(new TextEncoder().encode("visible"));
    expect((copy as Uint8Array).buffer.byteLength).toBe(7);
    expect(encoded).not.toContain(pool.toString("base64").slice(0, 4));
  });

  test("views of one buffer, of shared memory too, get a buffer each", () => {
    const shared = new SharedArrayBuffer(8);
    new Uint8Array(shared).set([1, 2, 3, 4]);
    const [bytes, words] = roundTrip([new Uint8Array(shared, 1, 2), new Uint16Array(shared, 2, 1)]);
    expect(bytes).toStrictEqual(new Uint8Array([2, 3]));
    expect(words).toStrictEqual(new Uint16Array(new Uint8Array([3, 4]).buffer));
    expect(bytes?.buffer).toBeInstanceOf(ArrayBuffer);
  });

  test("objects without a prototype are plain, with and without rich members", () => {
    const bare = Object.assign(Object.create(null), { a: 1 });
    expect(roundTrip(bare)).toStrictEqual({ a: 1 });
    expect(roundTrip([bare, 1n])).toStrictEqual([{ a: 1 }, 1n]);
  });

  test("subclasses of built-ins are the built-in, whatever they override", () => {
    class Rows extends Array<number> {
      count = 3;
      toJSON(): string {
        return "hooked";
      }
    }
    class Day extends Date {
      override toISOString(): string {
        return 'hooked"';
      }
    }
    class Index extends Map<string, number> {
      override *entries(): MapIterator<[string, number]> {}
      override [Symbol.iterator](): MapIterator<[string, number]> {
        throw new Error("hooked");
      }
    }
    class Names extends Set<string> {
      override [Symbol.iterator](): SetIterator<string> {
        throw new Error("hooked");
      }
    }
    class Link extends URL {
      override toString(): string {
        return "hooked";
      }
    }
    expect(roundTrip(Rows.from([1, 2]))).toStrictEqual([1, 2]);
    expect(roundTrip(new Day(5))).toStrictEqual(new Date(5));
    expect(roundTrip(new Index([["a", 1]]))).toStrictEqual(new Map([["a", 1]]));
    expect(roundTrip(new Names(["a"]))).toStrictEqual(new Set(["a"]));
    expect(roundTrip(new Link("https://a.b/c"))).toStrictEqual(new URL("https://a.b/c"));
  });

  test("members that are not enumerable are left out, whatever their key", () => {
    const value = { a: 1 };
    Object.defineProperty(value, Symbol("hidden"), { value: 2 });
    Object.defineProperty(value, "toJSON", { value: () => "hooked" });
    expect(roundTrip(value)).toStrictEqual({ a: 1 });
  });

  test("arrays lose properties that are no elements, as a match of a pattern does", () => {
    expect(roundTrip("ab".match(/b/))).toStrictEqual(["b"]);
  });

  test("values of another realm are ours", () => {
    const foreign = runInNewContext("({ a: [1, new Date(5)], m: new Map([[1, { b: 2 }]]) })");
    expect(roundTrip(foreign)).toStrictEqual({
      a: [1, new Date(5)],
      m: new Map([[1, { b: 2 }]]),
    });
  });
});

describe("errors", () => {
  test("keep name, message, stack, code and causes, anywhere in a value", () => {
    class PaymentError extends Error {}
    const cause = new RangeError("too far");
    const error = Object.assign(new PaymentError("declined", { cause }), { code: "E_PAY" });
    const copy = roundTrip(new Map([["errors", [error]]])).get("errors")?.[0];
    expect(copy).toMatchObject({ name: "PaymentError", message: "declined", code: "E_PAY" });
    expect(copy?.stack).toBe(error.stack);
    expect(copy?.cause).toBeInstanceOf(RangeError);
  });

  test("of Pawl are themselves again", () => {
    expect(roundTrip(new RunError("RATE_LIMITED", "m"))).toBeInstanceOf(RunError);
    expect(isNonRetriable(roundTrip([new NonRetriableError("m")])[0])).toBe(true);
  });

  test("at two places are one error", () => {
    const error = new Error("m");
    const [first, second] = roundTrip([error, error]);
    expect(first).toBe(second);
  });
});

describe("data that could pollute", () => {
  const payloads = [
    '{"__proto__":{"polluted":1}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"a":{"__proto__":{"polluted":1}},"__proto__":null}',
    '[{"__proto__":[]},{"__proto__":"text"}]',
    '{"toJSON":1,"then":2,"valueOf":3,"toString":null}',
    '{"___proto__":{"__proto__":{"____proto__":1}}}',
    '{"prototype":{"__proto__":{"toString":1}}}',
  ];

  test.each(payloads)("is plain data: %s", (payload) => {
    const value: unknown = JSON.parse(payload);
    const rich = [JSON.parse(payload), 5n, new Map([[JSON.parse(payload), 1]])];
    expect(JSON.stringify(roundTrip(value))).toBe(payload);
    expect(JSON.stringify(roundTrip(rich)[0])).toBe(payload);
    expectSame(roundTrip(rich), rich);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe("a value that cannot be kept", () => {
  class Account {
    id = 1;
  }
  const throwing = Object.defineProperty({}, "secret", {
    enumerable: true,
    get: () => {
      throw new Error("trap");
    },
  });
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const blocked = new Proxy(
    {},
    {
      getPrototypeOf: () => {
        throw new Error("trap");
      },
    },
  );
  const nested = (depth: number, leaf: unknown): unknown =>
    Array.from({ length: depth }).reduce((inner) => [inner], leaf);

  test.each<[string, unknown, string]>([
    ["a function", () => 1, "output is a function and cannot be stored; use plain data there"],
    [
      "a function inside",
      { items: [0, 1, 2, { callback: () => 1 }] },
      "output.items[3].callback is a function",
    ],
    ["a toJSON method", { toJSON: () => 1 }, "output.toJSON is a function"],
    // biome-ignore lint/suspicious/noThenProperty: this is what is tested
    ["a then method", [{ then: () => 1 }], "output[0].then is a function"],
    ["a symbol", { "a b": Symbol("s") }, 'output["a b"] is Symbol(s)'],
    ["a symbol key", { a: { [Symbol("s")]: 1 } }, "output.a has symbol keys"],
    ["a class instance", [new Account()], "output[0] is an instance of Account"],
    ["a promise", { later: Promise.resolve(1) }, "output.later is an object of type Promise"],
    ["a stream", { body: new ReadableStream() }, "output.body is an object of type ReadableStream"],
    ["a response", new Response("x"), "output is an object of type Response"],
    ["a pattern", { match: /a/ }, "output.match is an object of type RegExp"],
    ["a boxed number", [Object(5)], "output[0] is an object of type Number"],
    ["a weak map", [new WeakMap()], "output[0] is an object of type WeakMap"],
    ["a generator", [(function* () {})()], "output[0] is an object of type Generator"],
    [
      "a view without type",
      [new DataView(new ArrayBuffer(1))],
      "output[0] is an object of type DataView",
    ],
    [
      "shared memory",
      [new SharedArrayBuffer(1)],
      "output[0] is an object of type SharedArrayBuffer",
    ],
    [
      "query parameters",
      [new URLSearchParams("a=1")],
      "output[0] is an object of type URLSearchParams",
    ],
    ["an object that inherits", [Object.create({ a: 1 })], "output[0] is an object"],
    [
      "a heir of an object without prototype",
      [Object.create(Object.create(null))],
      "output[0] is an object",
    ],
    [
      "a forged date",
      [Object.create({ [Symbol.toStringTag]: "Date" })],
      "output[0] is an object of type Date",
    ],
    ["a forged error", [Object.create(Error.prototype), () => 1], "output[1] is a function"],
    ["a getter that throws", { a: [throwing] }, "output.a[0].secret has a getter that throws"],
    ["a revoked proxy", { a: revoked.proxy }, "output cannot be stored, because reading it threw"],
    ["a proxy that throws", [blocked], "output cannot be stored, because reading it threw"],
    ["a member of a map", new Map([["x", { f: () => 1 }]]), 'output.get("x").f is a function'],
    ["a member of a set", { tags: new Set([() => 1]) }, "output.tags is a function"],
  ])("is refused with its path: %s", (_, value, message) => {
    const encode = () => defaultCodec.encode(value);
    expect(encode).toThrow(message);
    expect(encode).toThrow(
      expect.objectContaining({ name: "PayloadError", code: "VALUE_NOT_SERIALIZABLE" }),
    );
  });

  test("is called by the name that it is given, and the path is in the details", () => {
    const encode = () => clientAccepts.encode({ a: [Symbol.iterator] }, "payload");
    expect(encode).toThrow(/^payload\.a\[0\] is Symbol\(Symbol\.iterator\) and cannot be stored/);
    expect(encode).toThrow(expect.objectContaining({ details: { path: "payload.a[0]" } }));
  });

  test("tells the cause when reading it threw", () => {
    const encode = () => defaultCodec.encode([blocked]);
    expect(encode).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ message: "trap" }) }),
    );
  });

  test("is refused beyond 500 levels, plain or rich, with a path of bounded length", () => {
    for (const leaf of [1, 1n, undefined]) {
      expect(roundTrip(nested(501, leaf))).toStrictEqual(nested(501, leaf));
      const encode = () => defaultCodec.encode(nested(502, leaf));
      expect(encode).toThrow(
        /^output(\[0\])+(\[0?)?…? is nested more than 500 levels deep and cannot/,
      );
      expect(encode).toThrow(expect.objectContaining({ code: "VALUE_NOT_SERIALIZABLE" }));
      expect(encode).toThrow(/^.{1,400}$/);
    }
    expect(() => defaultCodec.encode(nested(100_000, 1))).toThrow("more than 500 levels");
    let map = new Map();
    let set = new Set();
    for (let level = 0; level < 501; level++) {
      map = new Map([[level % 2 === 0 ? 1 : map, map]]);
      set = new Set([set]);
    }
    expect(() => defaultCodec.encode(map)).toThrow("more than 500 levels");
    expect(() => defaultCodec.encode(set)).toThrow("more than 500 levels");
  });

  test("a cycle that leads back does not count as depth", () => {
    const root: Record<string, unknown> = {};
    root.first = nested(400, root);
    root.second = nested(400, 1n);
    expect(() => defaultCodec.encode(root)).not.toThrow();
  });
});

describe("corrupt text", () => {
  const written = (value: unknown, reducers = {}): string => `~${stringify(value, reducers)}`;

  test.each([
    "",
    "{",
    "undefined",
    "~",
    "~{}",
    "~[]",
    "~5",
    "~-2",
    "~[5",
    '~[["Date"',
    '~[["Nobody",1]]',
    '~[["Error",1],5]',
    '~[["Error",1],{"name":1}]',
    '~[["Error",0]]',
    '~[["BigInt","x"]]',
    '~[["URL","x"]]',
    '~[["Uint8Array",1],5]',
    '~[{"__proto__":1},2]',
    "~[[-7,-1,0,1],2]",
    '~[["URLSearchParams","https://a.b"]]',
    written(/(a+)+$/),
    written(Object(5)),
    written(Object.create(null)),
    written(new URLSearchParams("a=1")),
  ])("is refused with the typed error: %s", (corrupt) => {
    const decode = () => defaultCodec.decode(corrupt);
    expect(decode).toThrow(
      expect.objectContaining({ name: "PayloadError", code: "VALUE_CORRUPT" }),
    );
    expect(decode).toThrow(/^A stored value cannot be decoded: ".*restore it, or pass that codec/);
  });

  test("never runs away, never pollutes, and gives a value or the typed error", () => {
    const piece = fc.constantFrom(
      "[",
      "]",
      "{",
      "}",
      '"',
      ",",
      ":",
      "-",
      "1",
      "0",
      "7",
      "Map",
      "Error",
      "__proto__",
      "null",
      "ArrayBuffer",
    );
    fc.assert(
      fc.property(fc.string({ unit: piece, maxLength: 40 }), (body) => {
        try {
          defaultCodec.decode(`~${body}`);
        } catch (error) {
          expect(error).toMatchObject({ code: "VALUE_CORRUPT" });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
