import { describe, expect, test } from "vitest";
import { z } from "zod";
import { parseWith } from "../../src/core/schema.js";

describe("parsing with a schema", () => {
  test("answers at once where the schema does", () => {
    const schema = z.object({ n: z.number() });
    expect(parseWith(schema, { n: 1 })).toEqual({ ok: true, value: { n: 1 } });
    expect(parseWith(schema, {})).toMatchObject({ ok: false, issues: [{ path: ["n"] }] });
  });

  test("waits for one that is asynchronous", async () => {
    const schema = z.string().refine(async (text) => text === "known", "is not known");
    await expect(parseWith(schema, "known")).resolves.toEqual({ ok: true, value: "known" });
    await expect(parseWith(schema, "other")).resolves.toEqual({
      ok: false,
      issues: [{ path: [], message: "is not known" }],
    });
  });
});
