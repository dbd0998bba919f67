import { describe, expect, test } from "vitest";
import { withoutPaths } from "../../src/core/hidden-paths.js";

describe("withoutPaths", () => {
  test.each<[string, unknown, string[], unknown]>([
    ["a value", { a: 1, b: 2 }, ["a"], { a: "[redacted]", b: 2 }],
    ["an item of a list", { a: [{ b: 1 }, 2] }, ["a.0.b"], { a: [{ b: "[redacted]" }, 2] }],
    ["a whole branch", { a: { b: 1 } }, ["a"], { a: "[redacted]" }],
    ["nothing that is not there", { a: 1 }, ["b", "a.b.c"], { a: 1 }],
    ["nothing of what is inherited", {}, ["toString"], {}],
    ["nothing of a text or of nothing", [null, "text"], ["0.a", "1.length"], [null, "text"]],
  ])("K18: hides %s", (_, value, paths, expected) => {
    const before = structuredClone(value);
    expect(withoutPaths(value, paths)).toEqual(expected);
    expect(value).toEqual(before);
  });
});
