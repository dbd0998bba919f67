import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  assertText,
  childPath,
  cleanText,
  encodedBytes,
  type Key,
  keyOfSegment,
  keySegment,
  parentOf,
  pathSegments,
} from "../../src/core/key.js";

const loneHalf = "\ud800";
const separators = fc.constantFrom(
  "%",
  "/",
  "[",
  "]",
  '"',
  ",",
  "2",
  "5",
  "B",
  "F",
  "a",
  "é",
  "😀",
);
const storable = fc
  .oneof(
    fc.string({ unit: separators, maxLength: 20 }),
    fc.string({ unit: "grapheme", maxLength: 20 }),
  )
  .filter((text) => !text.includes("\0"));
const scalar = fc.oneof(
  storable,
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const anyKey: fc.Arbitrary<Key> = fc.oneof(
  storable.filter((text) => text !== ""),
  fc.array(scalar, { minLength: 1, maxLength: 5 }),
);

describe("keySegment", () => {
  test.each<[Key, string]>([
    ["send-mail", "send-mail"],
    ["a:b", "a:b"],
    ["Küche 😀", "Küche 😀"],
    ["a/b", "a%2Fb"],
    ["100%", "100%25"],
    ["%2F", "%252F"],
    ['["a","b"]', '%5B"a","b"]'],
    ["a[0]", "a[0]"],
    [" ", " "],
    [["a", "b"], '["a","b"]'],
    [["a/b", 1, true, null], '["a%2Fb",1,true,null]'],
    [[1], "[1]"],
    [["1"], '["1"]'],
    ["1", "1"],
    [[""], '[""]'],
  ])("%j is written %s", (key, segment) => {
    expect(keySegment(key)).toBe(segment);
  });

  test("different keys have different segments, and each segment gives its key back", () => {
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        const [first, second] = [keySegment(a), keySegment(b)];
        expect(first === second).toBe(JSON.stringify(a) === JSON.stringify(b));
        expect(JSON.stringify(keyOfSegment(first))).toBe(JSON.stringify(a));
        expect(first).not.toContain("/");
      }),
    );
  });

  test("keys built from separators only do not collide", () => {
    const pieces = ["%", "/", "[", "%2F", "%25", "%5B", '"', ",", '"]', "1", "a"];
    const texts = pieces.flatMap((a) => pieces.flatMap((b) => pieces.map((c) => a + b + c)));
    const keys: Key[] = [
      ...texts,
      ...texts.map((text) => [text]),
      ...texts.map((text) => ["a", text]),
    ];
    const distinct = new Set(keys.map((key) => JSON.stringify(key)));
    expect(new Set(keys.map(keySegment)).size).toBe(distinct.size);
  });

  test.each<[unknown, RegExp]>([
    ["", /Key "" cannot be used: it is empty/],
    ["a\0", /Key "a\\u0000" cannot be used: it holds U\+0000/],
    [`a${loneHalf}`, /half of a surrogate pair/],
    [[], /Key \[\] cannot be used: an array needs at least one element/],
    [["a", Number.NaN], /Key NaN cannot be used: element 1 must be a string, a finite number/],
    [[Number.POSITIVE_INFINITY], /Key Infinity/],
    [[undefined], /Key undefined/],
    // biome-ignore lint/suspicious/noSparseArray: this is what is tested
    [[1, , 2], /Key undefined cannot be used: element 1/],
    [[{}], /Key an object cannot be used: element 0/],
    [[["a"]], /Key an array of 1 cannot be used/],
    [[1n], /Key 1n/],
    [["a\0"], /element 0 holds U\+0000/],
    [[loneHalf], /element 0 holds U\+0000 or half of a surrogate pair/],
    [undefined, /Key undefined cannot be used: it must be a string or an array/],
    [null, /Key null/],
    [7, /Key 7/],
    [{ length: 1 }, /Key an object/],
    ["x".repeat(513), /: it is longer than 512 bytes; shorten or hash it/],
    ["/".repeat(171), /: it is longer than 512 bytes/],
    ["é".repeat(257), /: it is longer than 512 bytes/],
    [["x".repeat(509)], /: it is longer than 512 bytes/],
  ])("%o is refused", (key, message) => {
    const encode = () => keySegment(key as Key);
    expect(encode).toThrow(message);
    expect(encode).toThrow(expect.objectContaining({ name: "TaskError", code: "KEY_INVALID" }));
  });

  test.each<Key>(["x".repeat(512), "/".repeat(170), "é".repeat(256), ["x".repeat(508)]])(
    "512 bytes are enough for key %#",
    (key) => {
      expect(encodedBytes(keySegment(key))).toBeLessThanOrEqual(512);
    },
  );
});

describe("paths", () => {
  test("a path names each enclosing task", () => {
    const path = childPath(childPath("", "a/b"), ["c", 1]);
    expect(path).toBe('a%2Fb/["c",1]');
    expect(pathSegments(path)).toEqual(["a%2Fb", '["c",1]']);
    expect(parentOf(path)).toBe("a%2Fb");
    expect(parentOf("a%2Fb")).toBe("");
  });

  test("the run itself is the empty path, without segments, and its own parent", () => {
    expect(pathSegments("")).toEqual([]);
    expect(parentOf("")).toBe("");
  });

  test("a path gives back the keys that made it", () => {
    fc.assert(
      fc.property(fc.array(anyKey, { minLength: 1, maxLength: 5 }), (keys) => {
        const path = keys.reduce<string>(childPath, "");
        expect(pathSegments(path).map(keyOfSegment)).toEqual(JSON.parse(JSON.stringify(keys)));
        expect(parentOf(path)).toBe(keys.slice(0, -1).reduce<string>(childPath, ""));
      }),
    );
  });

  test.each(["", "[", "[]", "[1e3]", "[ 1]", "[{}]", "a/b", "50%", "%2f", '["a/b"]'])(
    "%j is no segment of any key",
    (segment) => {
      expect(() => keyOfSegment(segment)).toThrow(expect.objectContaining({ code: "KEY_INVALID" }));
    },
  );
});

describe("assertText", () => {
  test.each(["a", "é😀", "x".repeat(512)])("%j passes", (text) => {
    expect(() => assertText(text, "tag")).not.toThrow();
  });

  test.each<[unknown, string]>([
    ["", 'tag is "", which is empty; pass at least one character.'],
    ["a\0", 'tag is "a\\u0000", which holds U+0000 or half of a surrogate pair; remove it.'],
    [loneHalf, 'tag is "\\ud800", which holds U+0000 or half of a surrogate pair; remove it.'],
    [5, "tag is 5, which is not a string; pass a string."],
  ])("%j is refused by name and value", (text, message) => {
    const check = () => assertText(text as string, "tag");
    expect(check).toThrow(message);
    expect(check).toThrow(expect.objectContaining({ name: "ConfigError", code: "OPTION_INVALID" }));
  });

  test("the cap counts bytes and can be set", () => {
    expect(() => assertText("é".repeat(257), "tag")).toThrow("longer than 512 bytes");
    expect(() => assertText("é", "name", { maxBytes: 2 })).not.toThrow();
    expect(() => assertText("éa", "name", { maxBytes: 2 })).toThrow("longer than 2 bytes");
  });
});

test("cleanText makes any text storable and leaves good text alone", () => {
  expect(cleanText(`a\0b${loneHalf}c\udc00`)).toBe("a\ufffdb\ufffdc\ufffd");
  expect(cleanText("é😀\n")).toBe("é😀\n");
});

test.each([
  ["\u007f", 1],
  ["\u0080", 2],
  ["\u07ff", 2],
  ["\u0800", 3],
  ["\uffff", 3],
  ["\u{10000}", 4],
  ["\ud800a", 4],
])("encodedBytes counts %j as %i", (text, bytes) => {
  expect(encodedBytes(text)).toBe(bytes);
});

test("encodedBytes counts what a UTF-8 encoder writes", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.string({ unit: fc.constantFrom("\ud83d", "\ude00", "a", "é", "中") }),
      (a, b) => {
        const text = a + b;
        expect(encodedBytes(text)).toBe(new TextEncoder().encode(text).length);
      },
    ),
  );
});
