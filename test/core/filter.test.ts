import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkedFilter, compileFilter, firstEquality, scalarsAt } from "../../src/core/filter.js";
import { thrownCode } from "../engine/support.js";

const meets = (payload: unknown, filter: unknown) => compileFilter(filter, "filter")(payload);
/** One property with one condition. */
const v = (value: unknown, condition: unknown) => meets({ v: value }, { v: condition });

/** Each operand with the values that meet it, and those that do not; `undefined` is a missing property. */
const truthTable: [condition: unknown, yes: unknown[], no: unknown[]][] = [
  [
    ["a", "b"],
    ["a", "b"],
    ["A", "", "ab", 1, null, undefined, ["a"], { a: 1 }],
  ],
  [
    [1, 2],
    [1, 2],
    ["1", 1.5, 0, true, null, undefined, [1]],
  ],
  [[0], [0, -0], [false, "", null, Number.NaN]],
  [[true], [true], [false, 1, "true", null, undefined]],
  [[false], [false], [true, 0, "", null, undefined]],
  [[], ["a", 1, null, undefined, {}, []], []],
  [[{ $startsWith: "ab" }], ["ab", "abc"], ["a", "AB", "cab", 1, null, undefined, ["ab"]]],
  [[{ $startsWith: "" }], ["", "x"], [1, null, undefined]],
  [[{ $endsWith: "yz" }], ["yz", "xyz"], ["y", "YZ", "yzx", 1, null, undefined]],
  [[{ $ignoreCaseEquals: "ÉCLAIR" }], ["éclair", "Éclair"], ["eclair", "éclairs", 1, undefined]],
  [[{ $exists: true }], [0, "", false, null, [], {}], [undefined]],
  [[{ $exists: false }], [undefined], [0, "", false, null, [], {}]],
  [[{ $isNull: true }], [null], [undefined, 0, "", false, "null", {}]],
  [[{ $isNull: false }], [undefined, 0, "", false, {}], [null]],
  [[{ $anythingBut: "a" }], ["b", "", 1, null, undefined, ["a"], {}], ["a"]],
  [[{ $anythingBut: 1 }], ["1", 2, true, undefined], [1]],
  [[{ $anythingBut: ["a", "b"] }], ["c", null, undefined], ["a", "b"]],
  [[{ $gt: 5 }], [5.1, Number.POSITIVE_INFINITY], [5, 4, "6", null, undefined, 6n, Number.NaN]],
  [[{ $gte: 5 }], [5, 6], [4.9, "5", null, undefined]],
  [[{ $lt: 5 }], [4, -1], [5, "4", null, undefined]],
  [[{ $lte: 5 }], [5, 4], [5.1, "5", null, undefined]],
  [[{ $between: [1, 3] }], [1, 2.5, 3], [0.9, 3.1, "2", null, undefined]],
  [[{ $includes: "a" }], [["a"], ["b", "a"]], [[], ["A"], [["a"]], "a", "cat", null, undefined]],
  [[{ $includes: 1 }], [[1], [2, 1]], [["1"], 1, [true]]],
  [[{ $not: "a" }], ["b", 1, true, [], ["b"]], ["a", ["a"], null, undefined, {}]],
  [[{ $not: false }], [true, 0, ""], [false, null, undefined]],
  [[{ $gt: 1 }, { $lt: 3 }], [2], [1, 3, "2"]],
  [
    [{ $exists: true }, { $anythingBut: ["x"] }],
    ["y", null],
    ["x", undefined],
  ],
  [{}, ["a", 1, null, undefined, {}, []], []],
  [
    { w: ["x"] },
    [{ w: "x" }, [{ w: "y" }, { w: "x" }]],
    [{ w: "y" }, {}, [], null, undefined, "x", [[{ w: "x" }]]],
  ],
  [{ w: [{ $exists: false }] }, [{}, [{}]], [{ w: 1 }, null, undefined, []]],
  [{ w: {} }, [{ w: 1 }, {}, [{}]], [null, undefined, "x", []]],
];

describe("a filter", () => {
  test.each(truthTable)("T4: %j", (condition, yes, no) => {
    const missing = (value: unknown) => (value === undefined ? {} : { v: value });
    for (const value of yes)
      expect([value, meets(missing(value), { v: condition })]).toEqual([value, true]);
    for (const value of no)
      expect([value, meets(missing(value), { v: condition })]).toEqual([value, false]);
    for (const value of yes) expect([value, v(value, condition)]).toEqual([value, true]);
    for (const value of no) expect([value, v(value, condition)]).toEqual([value, false]);
  });

  test("T4: that is empty is met by every payload, one with a condition by objects only", () => {
    for (const payload of [undefined, null, 1, "x", [], {}]) expect(meets(payload, {})).toBe(true);
    for (const payload of [undefined, null, 1, "x", []]) {
      expect(meets(payload, { a: [{ $exists: false }] })).toBe(false);
    }
    expect(meets([{ a: 1 }, { a: 2 }], { a: [2] })).toBe(true);
  });

  test("T4: all properties must meet their conditions", () => {
    const filter = { a: [1], b: { c: ["x"], d: [{ $gt: 1 }] } };
    expect(meets({ a: 1, b: { c: "x", d: 2 } }, filter)).toBe(true);
    expect(meets({ a: 2, b: { c: "x", d: 2 } }, filter)).toBe(false);
    expect(meets({ a: 1, b: { c: "x", d: 1 } }, filter)).toBe(false);
    expect(meets({ a: 1 }, filter)).toBe(false);
  });

  test("T4: of an array one element must meet all conditions, not each condition another one", () => {
    const filter = { items: { sku: ["a"], count: [{ $gte: 2 }] } };
    expect(
      meets(
        {
          items: [
            { sku: "a", count: 1 },
            { sku: "b", count: 2 },
          ],
        },
        filter,
      ),
    ).toBe(false);
    expect(
      meets(
        {
          items: [
            { sku: "b", count: 9 },
            { sku: "a", count: 2 },
          ],
        },
        filter,
      ),
    ).toBe(true);
  });

  test("S15: looks at own properties only, whatever they are called", () => {
    expect(meets({}, { constructor: [{ $exists: true }] })).toBe(false);
    expect(meets({}, { toString: { name: [{ $exists: true }] } })).toBe(false);
    const payload = JSON.parse('{"__proto__":{"admin":true}}');
    const filter = JSON.parse('{"__proto__":{"admin":[true]}}');
    expect(meets(payload, filter)).toBe(true);
    expect(meets({ admin: true }, filter)).toBe(false);
  });

  test.each<[what: string, filter: unknown, text: string]>([
    ["no object", "x", 'The filter is "x"'],
    ["null", null, "The filter is null"],
    ["a list", [], "The filter is an array"],
    ["a scalar condition", { a: 1 }, "The filter at a is 1"],
    ["a null condition", { a: null }, "The filter at a is null"],
    ["nothing in a list", { a: [undefined] }, "The filter at a holds undefined"],
    ["a Date", { a: new Date(0) }, "The filter at a is an object"],
    ["a regular expression", { a: /x/ }, "The filter at a is an object"],
    ["a Map", { a: new Map() }, "The filter at a is an object"],
    ["null in a list", { a: [null] }, "The filter at a holds null"],
    ["null behind a string", { a: ["x", null] }, 'The filter at a holds null beside "x"'],
    ["two types in a list", { a: { b: ["x", 1] } }, 'The filter at a.b holds 1 beside "x"'],
    ["a string beside an operator", { a: [{ $gt: 1 }, "x"] }, 'The filter at a holds "x"'],
    ["a number that is none", { a: [Number.NaN] }, "The filter at a holds NaN"],
    [
      "an unknown operator",
      { a: [{ $regex: "x" }] },
      'The filter at a has the unknown operator "$regex"',
    ],
    [
      "an inherited operator",
      { a: [{ toString: 1 }] },
      'The filter at a has the unknown operator "toString"',
    ],
    [
      "two operators in one object",
      { a: [{ $gt: 1, $lt: 3 }] },
      "The filter at a has $gt and $lt in one object",
    ],
    ["no operator", { a: [{}] }, "The filter at a has no operator"],
    [
      "a wrong operand of text",
      { a: [{ $startsWith: 1 }] },
      "The filter at a has $startsWith: 1; it takes a string",
    ],
    [
      "a wrong operand of numbers",
      { a: [{ $gt: "1" }] },
      'The filter at a has $gt: "1"; it takes a finite number',
    ],
    ["an infinite bound", { a: [{ $lt: Number.POSITIVE_INFINITY }] }, "it takes a finite number"],
    ["a wrong flag", { a: [{ $exists: 1 }] }, "it takes true or false"],
    [
      "an object to be unlike",
      { a: [{ $not: {} }] },
      "it takes a string, a finite number or a boolean",
    ],
    ["nothing to be unlike", { a: [{ $anythingBut: [] }] }, "or a list of them"],
    ["no bounds", { a: [{ $between: 1 }] }, "it takes two finite numbers"],
    ["one bound", { a: [{ $between: [1] }] }, "it takes two finite numbers"],
    [
      "bounds the wrong way round",
      { a: [{ $between: [3, 1] }] },
      "its min is greater than its max",
    ],
  ])("T4: with %s is an error that says where", (_what, filter, text) => {
    expect(thrownCode(() => compileFilter(filter, "filter"))).toBe("FILTER_INVALID");
    expect(() => compileFilter(filter, "filter")).toThrow(text);
  });

  test("S15: is bounded in depth and size", () => {
    let deep: object = { a: [1] };
    for (let depth = 0; depth < 70; depth++) deep = { a: deep };
    expect(thrownCode(() => compileFilter(deep, "filter"))).toBe("FILTER_INVALID");
    const wide = { a: Array.from({ length: 1_001 }, (_, index) => index) };
    expect(thrownCode(() => compileFilter(wide, "filter"))).toBe("FILTER_INVALID");
    const listed = { a: [{ $anythingBut: wide.a }] };
    expect(thrownCode(() => compileFilter(listed, "filter"))).toBe("FILTER_INVALID");
  });

  test("never throws and answers yes or no, whatever the payload is", () => {
    const conditions = truthTable.map(([condition]) => condition);
    const payload = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
    });
    fc.assert(
      fc.property(payload, fc.constantFrom(...conditions), (value, condition) => {
        expect(typeof meets(value, { a: condition, b: condition })).toBe("boolean");
        expect(typeof v(value, condition)).toBe("boolean");
      }),
    );
  });

  test("is copied: who changes the object afterwards changes no filter", () => {
    const filter = { a: ["x"] };
    const copy = checkedFilter(filter, "filter");
    filter.a.push("y");
    expect(copy).toEqual({ a: ["x"] });
  });
});

describe("the first equality of a filter", () => {
  test.each<[filter: Parameters<typeof firstEquality>[0], found: ReturnType<typeof firstEquality>]>(
    [
      [{ a: ["x"] }, { path: ["a"], value: "x" }],
      [
        { a: { b: [1] }, c: ["y"] },
        { path: ["a", "b"], value: 1 },
      ],
      [{ a: [false] }, { path: ["a"], value: false }],
      [{ a: ["x", "y"] }, undefined],
      [{ a: [{ $gt: 1 }], b: ["x"] }, undefined],
      [{ a: [] }, undefined],
      [{ a: {} }, undefined],
      [{}, undefined],
      [undefined, undefined],
    ],
  )("of %j is %j", (filter, found) => {
    expect(firstEquality(filter)).toEqual(found);
  });

  test("is met by exactly the payloads that have its value at its path, also through arrays", () => {
    const leaf = fc.constantFrom<unknown>("x", "y", 1, true, null, { a: "x" }, ["x"], [{ b: "x" }]);
    const level = fc.oneof(leaf, fc.dictionary(fc.constantFrom("a", "b"), leaf), fc.array(leaf));
    const payload = fc.dictionary(fc.constantFrom("a", "b"), level);
    const path = fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(payload, path, fc.constantFrom("x", "y", 1, true), (value, keys, literal) => {
        const filter = keys.reduceRight<object>((inner, key) => ({ [key]: inner }), [literal]);
        expect(scalarsAt(value, keys).has(literal)).toBe(meets(value, filter));
      }),
      { numRuns: 2_000 },
    );
  });
});
