import { describe, expect, test } from "vitest";
import { bodyData } from "../../src/core/http-body.js";

const bytes = (text: string) => new Uint8Array(new TextEncoder().encode(text));
const data = (text: string, type?: string, isCut?: boolean) => bodyData(bytes(text), type, isCut);

describe("the body of an answer", () => {
  test.each([
    undefined,
    "",
    "application/json",
    "APPLICATION/JSON; charset=utf-8",
    "application/problem+json",
    "application/vnd.api+json;v=1",
    "text/json",
  ])("I20: is parsed with the content type %j", (type) => {
    expect(data('{"a":[1]}', type)).toEqual({ a: [1] });
  });

  test("I20: is text where JSON is broken, cut or not said", () => {
    expect(data("{ a", "application/json")).toBe("{ a");
    expect(data("hello")).toBe("hello");
    expect(data("12", "application/json", true)).toBe("12");
    expect(data("12", "text/plain")).toBe("12");
    expect(data('{"a":1}', "text/html; charset=utf-8")).toBe('{"a":1}');
  });

  test.each([
    "text/plain",
    "application/xml",
    "image/svg+xml",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/javascript; charset=utf-8",
    "application/unheard-of; charset=utf-8",
  ])("I20: is text with the content type %j", (type) => {
    expect(data("a", type)).toBe("a");
  });

  test.each(["image/png", "application/pdf", "application/octet-stream", "application/jsonx"])(
    "I20: is bytes with the content type %j",
    (type) => {
      expect(data("a", type)).toEqual(bytes("a"));
    },
  );

  test("I20: is read in its encoding, or as UTF-8 if nobody knows that", () => {
    const latin = new Uint8Array([0xe4]);
    expect(bodyData(latin, 'text/plain; charset="iso-8859-1"')).toBe("ä");
    expect(bodyData(bytes("ä"), "text/plain; charset=klingon")).toBe("ä");
    expect(bodyData(latin, "text/plain")).toBe("\ufffd");
  });

  test("I20: is undefined if there is none, except for text", () => {
    expect(data("")).toBeUndefined();
    expect(data("", "application/json")).toBeUndefined();
    expect(data("", "image/png")).toBeUndefined();
    expect(data("", "text/plain")).toBe("");
  });
});
