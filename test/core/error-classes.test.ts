import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type ErrorCode, errorCodes } from "../../src/core/error-codes.js";

const sources = new URL("../../src/", import.meta.url);
const construction = /\bnew (Config|Payload|Task|Run|Storage)Error\(\s*"([A-Z_]+)"/g;

test("an error is of the class that the list of codes says", () => {
  const files = readdirSync(sources, { recursive: true, encoding: "utf8" });
  const found = files
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => {
      const text = readFileSync(new URL(file, sources), "utf8");
      return [...text.matchAll(construction)].map(([, concern = "", code = ""]) => ({
        file,
        code: code as ErrorCode,
        concern: concern.toLowerCase(),
      }));
    });
  expect(found.length).toBeGreaterThan(50);
  expect(found.filter(({ code, concern }) => errorCodes[code].concern !== concern)).toEqual([]);
});
