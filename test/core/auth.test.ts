import { describe, expect, test } from "vitest";
import { authOutcome, connectionKey, notConnected } from "../../src/core/auth.js";

describe("what an auth resolver gives", () => {
  test.each([
    [
      { type: "oauth2", accessToken: "t", scopes: ["a"] },
      { type: "oauth2", accessToken: "t", scopes: ["a"] },
    ],
    [
      { type: "oauth", token: "t", additionalFields: { shop: "x" } },
      { type: "oauth2", accessToken: "t", additionalFields: { shop: "x" } },
    ],
    [
      { type: "apiKey", token: "t" },
      { type: "apiKey", accessToken: "t" },
    ],
  ])("%j are credentials", (given, auth) => {
    expect(authOutcome(given)).toEqual({ kind: "auth", auth });
  });

  test.each([
    [undefined],
    [null],
    [{}],
    ["a token"],
    [{ type: "basic", token: "t" }],
    [{ type: "apiKey" }],
    [{ type: "apiKey", token: "" }],
  ])("%j are none", (given) => {
    expect(authOutcome(given).kind).toBe("problem");
  });

  test("may be that the account is not connected, also by another copy of the library", () => {
    for (const given of [notConnected, { kind: "not-connected" }])
      expect(authOutcome(given)).toEqual({ kind: "notConnected" });
  });
});

test("no two accounts of two integrations share a connection", () => {
  const pairs = [
    ["a", undefined],
    ["a", "b"],
    ["a/b", undefined],
    ["a", "/b"],
    ["a/", "b"],
  ] as const;
  expect(new Set(pairs.map(([id, account]) => connectionKey(id, account))).size).toBe(pairs.length);
});
