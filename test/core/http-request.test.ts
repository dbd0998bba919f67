import { describe, expect, test } from "vitest";
import type { FetchInit } from "../../src/core/http.js";
import { readRequest } from "../../src/core/http-request.js";
import { isSecretName, type RedactOptions } from "../../src/core/redaction.js";

const url = "https://service.example/path";
const read = (at: unknown = url, init: unknown = {}, redact?: RedactOptions) =>
  readRequest(at as string, init as FetchInit, redact, "io.x");
const problem = (...args: Parameters<typeof read>) => {
  try {
    read(...args);
    return "none";
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code} ${message}`;
  }
};

describe("readRequest", () => {
  test("I20: takes a request in all its forms", () => {
    expect(readRequest(url, undefined, undefined, "io.x")).toMatchObject({ method: "GET", url });
    expect(read(new URL(`${url}?a=1#b`)).url).toBe(`${url}?a=1`);
    expect(read(url, { method: "post" }).method).toBe("POST");
    const headers = [["x-a", "1"]];
    expect(read(url, { headers: { "X-A": " 1 " } }).headers).toEqual(headers);
    expect(read(url, { headers: new Headers({ "X-A": "1" }) }).headers).toEqual(headers);
    expect(read(url, { headers: [["X-A", "1"]] }).headers).toEqual(headers);
    for (const body of [
      "text",
      new ArrayBuffer(1),
      new Uint8Array(1),
      new URLSearchParams(),
      new FormData(),
      new Blob([]),
    ])
      expect(read(url, { method: "POST", body }).body).toBe(body);
    expect(read(url, { body: null }).body).toBeUndefined();
  });

  test.each<[string, unknown, RegExp]>([
    [
      "a relative URL",
      "/path",
      /^OPTION_INVALID io.x needs an absolute http or https URL, got "\/path"/,
    ],
    ["another scheme", "ftp://host/", /got one of ftp:/],
    ["a number", 7, /got 7/],
    ["an object", {}, /got an object/],
  ])("I20: refuses %s as URL", (_, at, expected) => {
    expect(problem(at)).toMatch(expected);
  });

  test("I20: does not repeat a secret of what it refuses", () => {
    for (const bad of [
      "htps//me:secret-word@host/",
      "/path?token=secret-word",
      "ws://me:secret-word@host/#secret-word",
    ])
      expect(problem(bad)).not.toContain("secret-word");
    expect(problem(url, { headers: { authorization: "secret-word\n" + "x" } })).toMatch(
      /header "authorization" of io.x holds a line break(?!.*secret-word)/,
    );
    expect(problem(url, {}, { values: "secret-word" as never })).toMatch(
      /redact.values of io.x must be an array of non-empty strings, got a string/,
    );
    expect(problem(url, {}, { values: [""] })).toMatch(/got an array/);
  });

  test.each<[string, object]>([
    ["a method with a space", { method: "GET X" }],
    ["a method that fetch refuses", { method: "TRACE" }],
    ["a method that is no text", { method: 7 }],
    ["headers that are text", { headers: "a: b" }],
    ["headers that are nothing", { headers: null }],
    ["a header that is no pair", { headers: ["a: b"] }],
    ["a header with a space in its name", { headers: { "a b": "c" } }],
    ["a header that is a number", { headers: { a: 7 } }],
    ["a header beyond one byte", { headers: { a: "→" } }],
    ["a body of GET", { body: "text" }],
    ["a body of HEAD", { method: "HEAD", body: "text" }],
    ["a body that is an object", { method: "POST", body: {} }],
    ["a body that is a stream", { method: "POST", body: new ReadableStream() }],
  ])("I20: refuses %s", (_, init) => {
    expect(problem(url, init)).toMatch(/^OPTION_INVALID .*io\.x/);
  });

  test("I20: refuses what it does not know", () => {
    expect(problem(url, { cache: "no-store" })).toMatch(/^OPTION_UNKNOWN .*"cache"/);
    expect(problem(url, {}, { header: ["a"] } as RedactOptions)).toMatch(/^OPTION_UNKNOWN/);
    expect(problem(url, {}, { headers: undefined } as unknown as RedactOptions)).toBe("none");
  });

  test("I20: a user and a password become a header, unless there is one", () => {
    const at = "https://me:p%40ss@service.example/";
    expect(read(at)).toMatchObject({
      url: "https://service.example/",
      headers: [["authorization", `Basic ${btoa("me:p@ss")}`]],
    });
    const own = { Authorization: "Bearer a" };
    expect(read(at, { headers: own }).headers).toEqual([["authorization", "Bearer a"]]);
    expect(read("https://:pass%ZZ@service.example/").headers).toEqual([
      ["authorization", `Basic ${btoa(":pass%ZZ")}`],
    ]);
  });
});

describe("what is shown of a request", () => {
  test("I20: hides credentials, secret parameters and what the user names", () => {
    const at =
      "https://me:pass-word@service.example/hook-secret?api_key=one-secret&x=two-secret&page=2&x=three#frag";
    const { shown } = read(at, {}, { query: ["x"], values: ["hook-secret"] });
    expect(shown).toEqual({
      method: "GET",
      url: "https://service.example/[redacted]?api_key=[redacted]&x=[redacted]&page=2",
      headers: { authorization: "[redacted]" },
    });
  });

  test("I20: hides the values of secret headers and of those that the user names", () => {
    const headers = {
      "x-api-key": "k",
      "x-mine": "mine-secret",
      "idempotency-key": "order-1",
      accept: "text/mine-secret",
    };
    expect(read(url, { headers }, { headers: ["X-Mine"] }).shown.headers).toEqual({
      "x-api-key": "[redacted]",
      "x-mine": "[redacted]",
      "idempotency-key": "order-1",
      accept: "text/[redacted]",
    });
  });

  test.each([
    ["authorization", true],
    ["Proxy-Authorization", true],
    ["Set-Cookie", true],
    ["X-Amz-Signature", true],
    ["access_token", true],
    ["client_secret", true],
    ["sig", true],
    ["code", true],
    ["x-goog-credential", true],
    ["PHPSESSID", true],
    ["X-Shopify-Hmac-Sha256", true],
    ["X-CSRF", true],
    ["client_assertion", true],
    ["pwd", true],
    ["otp", true],
    ["Idempotency-Key", false],
    ["author", false],
    ["authority", false],
    ["keyword", false],
    ["page", false],
    ["postcode", false],
    ["content-type", false],
  ])("I20: the name %s is that of a secret: %s", (name, expected) => {
    expect(isSecretName(name)).toBe(expected);
  });
});

describe("what an answer repeats", () => {
  const { redaction } = read(
    "https://service.example/?token=a%20b%2Fsecret",
    {
      headers: {
        authorization: "Bearer sk-secret",
        cookie: "a=b; session=crumbly",
        "x-key": "abc",
      },
    },
    { values: ['quo"te', "x1"] },
  );

  test("I20: is hidden in texts, also encoded as in URLs and JSON", () => {
    const text = 'sk-secret, a b/secret, a%20b%2Fsecret, crumbly, quo"te, quo\\"te, quo%22te, x1';
    expect(redaction.text(text)).toBe(Array(8).fill("[redacted]").join(", "));
  });

  test("I20: of automatic secrets only those are hidden that cannot be chance", () => {
    expect(redaction.text("abc b a")).toBe("abc b a");
  });

  const hidden = (text: string, at: string, init: unknown = {}, redact: RedactOptions = {}) =>
    read(at, init, redact).redaction.text(text);

  test("I20: is hidden as it was sent, also where that is read in two ways", () => {
    const at = "https://service.example/?token=ab+cd/e%2fg==&sig='quoted'";
    const text =
      "ab+cd/e%2fg== ab+cd/e/g== ab%2Bcd%2Fe%2Fg%3D%3D ab cd/e/g== ab+cd%2Fe%2Fg%3D%3D ab+cd\\/e\\/g== 'quoted' %27quoted%27";
    expect(hidden(text, at)).toBe(Array(8).fill("[redacted]").join(" "));
  });

  test("I20: is hidden where the user of the URL is the secret, and where basic credentials were given", () => {
    expect(hidden("no sk_live_1", "https://sk_live_1:@service.example/")).toBe("no [redacted]");
    const basic = (text: string) => ({ headers: { authorization: `Basic ${btoa(text)}` } });
    const text = "who is tenant-user, with pass:word?";
    expect(hidden(text, url, basic("tenant-user:pass:word"))).toBe(
      "who is [redacted], with [redacted]?",
    );
    expect(hidden("lonely-token", url, basic("lonely-token"))).toBe("[redacted]");
    expect(hidden("*no-base64*", url, { headers: { authorization: "Basic *" } })).toBe(
      "*no-base64*",
    );
    expect(hidden("x opaque-1 y", url, { headers: { authorization: 'Digest a="opaque-1"' } })).toBe(
      "x [redacted] y",
    );
  });

  test("I20: parameters that the user names are hidden in whatever case they are written", () => {
    expect(hidden("tenant-7", `${url}?Tenant=tenant-7`, {}, { query: ["tenant"] })).toBe(
      "[redacted]",
    );
  });

  test("I20: is hidden in names of data and in numbers", () => {
    const { redaction } = read(`${url}?code=12345678`, { headers: { "x-api-key": "sk-secret" } });
    expect(redaction.data({ "sk-secret": "unknown", code: 12345678, n: 1234 })).toEqual({
      "[redacted]": "unknown",
      code: "[redacted]",
      n: 1234,
    });
  });

  test("I20: is hidden in data as deep as errors keep it", () => {
    const bytes = new Uint8Array(2);
    expect(redaction.data({ a: ["sk-secret", 1, null, { b: "sk-secret!" }], bytes })).toEqual({
      a: ["[redacted]", 1, null, { b: "[redacted]!" }],
      bytes: "an object",
    });
    let deep: unknown = "sk-secret";
    for (let level = 0; level < 20; level++) deep = [deep];
    expect(JSON.stringify(redaction.data(deep))).not.toContain("sk-secret");
  });
});
