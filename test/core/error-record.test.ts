import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  asErrorRecord,
  decodeErrorRecord,
  type ErrorRecord,
  encodeErrorRecord,
  fromErrorRecord,
  toErrorRecord,
} from "../../src/core/error-record.js";
import {
  ConfigError,
  isNonRetriable,
  isPawlError,
  NonRetriableError,
  PawlError,
  PayloadError,
  RetryAfterError,
  RunError,
  retryAfterOf,
  StorageError,
  TaskError,
  TaskInterruptedError,
  WaitTimeoutError,
} from "../../src/core/errors.js";
import { cleanText, encodedBytes } from "../../src/core/key.js";

const trap = (): never => {
  throw new Error("trap");
};
const allTraps = new Proxy({}, { get: () => trap });
const hostileError = (target: object) => new Proxy(target, allTraps);

function withGetters(target: object, keys: readonly string[]): object {
  for (const key of keys) Object.defineProperty(target, key, { get: trap, enumerable: true });
  return target;
}

function replayed(error: unknown): Error {
  return fromErrorRecord(decodeErrorRecord(encodeErrorRecord(toErrorRecord(error))));
}

describe("an error that was recorded", () => {
  test("has the same name, message, stack, code and cause when it is replayed", () => {
    const cause = Object.assign(new RangeError("too far"), { code: "ERANGE" });
    const error = Object.assign(new Error("outer", { cause }), { code: "E_OUTER" });
    const copy = replayed(error);
    expect(copy).toMatchObject({ name: "Error", message: "outer", code: "E_OUTER" });
    expect(copy.stack).toBe(error.stack);
    expect(copy.cause).toBeInstanceOf(RangeError);
    expect(copy.cause).toMatchObject({ message: "too far", code: "ERANGE", stack: cause.stack });
  });

  test("shows nothing of where it was revived, and prints like any error", () => {
    const copy = replayed({ message: "no stack" });
    expect(copy.stack).toBeUndefined();
    expect(Object.keys(replayed(new TypeError("t", { cause: 1 })))).toEqual([]);
  });

  test("looks the same after a second pass, so first execution and replay agree", () => {
    const errors = [
      new Error("a", { cause: new TypeError("b", { cause: "c" }) }),
      new AggregateError([new Error("a"), "b"], "several"),
      new WaitTimeoutError("w", { details: { key: "k" }, cause: new Error("c") }),
      new PayloadError("PAYLOAD_INVALID", "p", {
        details: { issues: [{ path: ["a", 0], message: "m" }] },
      }),
      new RetryAfterError(new Date(99), "later"),
      new NonRetriableError("never"),
      Object.assign(new Error("x".repeat(10_000)), { status: 404, code: 5 }),
      "text",
      null,
      undefined,
      { a: [1, { b: 2 }], message: 5 },
    ];
    for (const error of errors) {
      const record = toErrorRecord(error);
      expect(toErrorRecord(fromErrorRecord(record))).toEqual(record);
    }
  });

  test.each([
    new TypeError("m"),
    new RangeError("m"),
    new SyntaxError("m"),
    new ReferenceError("m"),
    new EvalError("m"),
    new URIError("m"),
    new AggregateError([], "m"),
  ])("%s is of its built-in class again", (error) => {
    const copy = replayed(error);
    expect(copy.constructor).toBe(error.constructor);
    expect(copy.message).toBe("m");
  });

  test.each<[PawlError, new (...args: never[]) => PawlError]>([
    [new PawlError("RUN_CANCELED", "m"), PawlError],
    [new ConfigError("OPTION_INVALID", "m"), ConfigError],
    [new PayloadError("PAYLOAD_INVALID", "m"), PayloadError],
    [new TaskError("KEY_DUPLICATE", "m", { details: { key: "k" } }), TaskError],
    [new RunError("RATE_LIMITED", "m"), RunError],
    [new StorageError("STORAGE_FULL", "m"), StorageError],
    [new WaitTimeoutError("m", { details: { after: 5 } }), WaitTimeoutError],
    [new TaskInterruptedError("m"), TaskInterruptedError],
  ])("%s is of its own class again", (error, ErrorClass) => {
    const copy = replayed(error);
    expect(copy.constructor).toBe(ErrorClass);
    expect(isPawlError(copy, error.code)).toBe(true);
    expect(copy).toMatchObject({ name: error.name, message: "m", stack: error.stack });
    expect((copy as PawlError).details).toEqual(error.details);
  });

  test("keeps the issues of a PayloadError", () => {
    const issues = [{ path: ["user", 3, "email"], message: "is no address" }];
    const copy = replayed(new PayloadError("PAYLOAD_INVALID", "m", { details: { issues } }));
    expect((copy as PayloadError).issues).toEqual(issues);
  });

  test("a user's error with a code or name of ours is not taken for one of ours", () => {
    const sameCode = Object.assign(new Error("slow down"), { code: "RATE_LIMITED" });
    const sameName = Object.assign(new Error("m"), { name: "TaskError", code: "E1" });
    expect(isPawlError(replayed(sameCode))).toBe(false);
    expect(replayed(sameCode)).toMatchObject({ code: "RATE_LIMITED" });
    expect(isPawlError(replayed(sameName))).toBe(false);
    expect(replayed(sameName)).toMatchObject({ name: "TaskError", code: "E1" });
  });

  test("keeps the wish not to be retried, under any name", () => {
    class CardDeclined extends NonRetriableError {
      override readonly name = "CardDeclined";
    }
    const copy = replayed(new CardDeclined("m", { cause: "bank" }));
    expect(isNonRetriable(copy)).toBe(true);
    expect(copy).toMatchObject({ name: "CardDeclined", message: "m" });
    expect(Object.keys(copy)).toEqual([]);
    expect(isNonRetriable(replayed(new Error("m")))).toBe(false);
  });

  test("keeps the instant of a RetryAfterError", () => {
    const copy = replayed(new RetryAfterError(new Date(86_400_000), "m"));
    expect(copy).toBeInstanceOf(RetryAfterError);
    expect(retryAfterOf(copy)).toEqual(new Date(86_400_000));
    expect(copy.message).toBe("m");
    const broken = { name: "E", message: "m", details: { "pawl.retryAt": "soon" } };
    expect(retryAfterOf(fromErrorRecord(broken))).toBeUndefined();
  });

  test("takes the class name where the name says nothing", () => {
    class PaymentError extends Error {}
    expect(toErrorRecord(new PaymentError("m")).name).toBe("PaymentError");
    expect(replayed(new PaymentError("m")).name).toBe("PaymentError");
    expect(toErrorRecord(Object.assign(new Error("m"), { constructor: 5 })).name).toBe("Error");
    expect(toErrorRecord(Object.assign(new Error("m"), { name: "" })).name).toBe("Error");
  });

  test("an error from another realm is an error too", () => {
    expect(toErrorRecord(runInNewContext("new TypeError('m')"))).toMatchObject({
      name: "TypeError",
      message: "m",
    });
  });
});

describe("members of an AggregateError", () => {
  test("are kept in order", () => {
    const copy = replayed(new AggregateError([new TypeError("a"), "b"], "several"));
    expect(copy).toBeInstanceOf(AggregateError);
    const { errors } = copy as AggregateError;
    expect(errors.map((error: Error) => [error.name, error.message])).toEqual([
      ["TypeError", "a"],
      ["NonError", "b"],
    ]);
  });

  test("count against 32 errors in all", () => {
    const many = Array.from({ length: 100 }, (_, index) => new Error(`${index}`));
    const record = toErrorRecord(new AggregateError(many, "m", { cause: new Error("c") }));
    expect(record.cause?.message).toBe("c");
    expect(record.errors?.length).toBe(30);
    const nested = [new AggregateError(many, "n"), new Error("late")];
    expect(toErrorRecord(new AggregateError(nested, "m")).errors?.length).toBe(1);
  });

  test("other properties named errors are left alone", () => {
    expect(toErrorRecord(Object.assign(new Error("m"), { errors: "none" })).errors).toBeUndefined();
    const revoked = Proxy.revocable([], {});
    revoked.revoke();
    const error = Object.assign(new Error("m"), { errors: revoked.proxy });
    expect(toErrorRecord(error)).toMatchObject({ message: "m" });
  });
});

describe("own properties of an error", () => {
  test("come back if they are scalars", () => {
    const error = Object.assign(new Error("m"), {
      status: 404,
      retryable: false,
      path: "/a",
      nothing: null,
      code: 14,
      response: { secret: true },
      ratio: Number.NaN,
      call: () => 1,
    });
    const copy = replayed(error);
    expect({ ...copy }).toEqual({
      status: 404,
      retryable: false,
      path: "/a",
      nothing: null,
      code: 14,
    });
  });

  test("lose the sign of -0, which stored text would lose", () => {
    expect(Object.is(toErrorRecord({ offset: -0 }).details?.offset, 0)).toBe(true);
  });

  test("stop at 16, and long texts are cut", () => {
    const properties = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`p${i}`, i]));
    const record = toErrorRecord(
      Object.assign(new Error("m"), { a: "x".repeat(5000) }, properties),
    );
    expect(Object.keys(record.details ?? {}).length).toBe(16);
    expect(record.details?.a).toMatch(/^x+ … \[cut at 1024 bytes\]$/);
  });

  test("named like a field of the record, or __proto__, change nothing", () => {
    const details = JSON.parse(
      '{ "message": "no", "stack": "no", "name": "no", "cause": "no", "__proto__": { "x": 1 } }',
    );
    const copy = fromErrorRecord({ name: "E", message: "m", stack: "s", details });
    expect(copy).toMatchObject({ name: "E", message: "m", stack: "s" });
    expect(copy.cause).toBeUndefined();
    expect(Object.getPrototypeOf(copy)).toBe(Error.prototype);
    expect("x" in copy).toBe(false);
  });
});

describe("details of a PawlError", () => {
  test("are JSON: what is no data is described, dates are texts", () => {
    const details = {
      at: new Date(0),
      never: new Date(Number.NaN),
      big: 5n,
      call: trap,
      gone: undefined,
      list: [1, [2], "a\0"],
      map: new Map(),
      deep: { a: { b: { c: { d: { e: { f: 1 } } } } } },
    };
    expect(toErrorRecord(new RunError("RUN_STALLED", "m", { details })).details).toEqual({
      at: "1970-01-01T00:00:00.000Z",
      never: "an object of type Date",
      big: "5n",
      call: "a function",
      list: [1, [2], "a\ufffd"],
      map: {},
      deep: { a: { b: { c: { d: { e: "an object" } } } } },
    });
  });

  test("stop at 500 values", () => {
    const details = { list: Array.from({ length: 9999 }, (_, index) => index) };
    const record = toErrorRecord(new RunError("RUN_STALLED", "m", { details }));
    expect(record.details?.list).toEqual(details.list.slice(0, 498));
  });

  test("that are no object are left out", () => {
    for (const details of [undefined, null, "text", [1]]) {
      const error = new RunError("RUN_STALLED", "m");
      Object.assign(error, { details });
      expect(toErrorRecord(error).details).toBeUndefined();
    }
  });
});

describe("what is thrown without being an error", () => {
  test.each<[unknown, string]>([
    ["boom", "boom"],
    ["", ""],
    [null, "null"],
    [undefined, "undefined"],
    [5, "5"],
    [5n, "5n"],
    [Symbol("s"), "Symbol(s)"],
    [trap, "a function"],
    [{ code: 5, list: [1] }, '{"code":5,"list":[1]}'],
    [[1, "a"], '[1,"a"]'],
    [{ message: "from an API" }, "from an API"],
    [Object.create(null), "{}"],
  ])("%o becomes a NonError", (thrown, message) => {
    const record = toErrorRecord(thrown);
    expect(record).toMatchObject({ name: "NonError", message });
    expect(replayed(thrown)).toMatchObject({ name: "NonError", message });
  });

  test("an object keeps its code", () => {
    expect(replayed({ message: "m", code: "PGRST116", status: 406 })).toMatchObject({
      name: "NonError",
      code: "PGRST116",
      status: 406,
    });
  });
});

describe("toErrorRecord never throws", () => {
  // `stack` first: V8 reads name and message to lay it out.
  const every = ["stack", "name", "message", "code", "cause", "errors", "constructor", "other"];
  const hostiles: Record<string, () => unknown> = {
    "an error whose getters throw": () => withGetters(new Error("m"), every),
    "an object whose getters throw": () => withGetters({}, every),
    "a proxy that throws on everything": () => hostileError({}),
    "a proxy of an error that throws on everything": () => hostileError(new Error("m")),
    "a proxy of a function that throws on everything": () => hostileError(trap),
    "an error whose cause is such a proxy": () => new Error("m", { cause: hostileError({}) }),
    "details that throw": () =>
      new RunError("RUN_STALLED", "m", { details: { a: hostileError({}) } }),
    "fields of the wrong type": () =>
      Object.assign(new Error("m"), { name: 5, message: {}, stack: [], code: {}, cause: trap }),
  };

  test.each(Object.entries(hostiles))("on %s", (_, make) => {
    const record = toErrorRecord(make());
    expect(asErrorRecord(JSON.parse(encodeErrorRecord(record)))).toEqual(record);
    expect(fromErrorRecord(record)).toBeInstanceOf(Error);
  });

  test("on anything that can be made up", () => {
    const texts = fc.string({ unit: "binary" });
    const errors = fc
      .record({ message: texts, cause: fc.anything(), extra: fc.anything() })
      .map(({ message, cause, extra }) => Object.assign(new Error(message, { cause }), { extra }));
    fc.assert(
      fc.property(fc.oneof(fc.anything(), errors), (thrown) => {
        const record = toErrorRecord(thrown);
        const text = encodeErrorRecord(record);
        expect(text).not.toMatch(/\\u0000|\\ud[89a-f]/i);
        expect(cleanText(text)).toBe(text);
        expect(decodeErrorRecord(text)).toEqual(record);
        expect(toErrorRecord(fromErrorRecord(record))).toEqual(record);
      }),
    );
  });
});

describe("caps", () => {
  test("text is cut by bytes, with a mark, and stays well-formed", () => {
    const error = new Error("é😀".repeat(5000));
    error.stack = "中".repeat(9000);
    const record = toErrorRecord(error);
    expect(record.message).toMatch(/^(é😀)+é? … \[cut at 8192 bytes\]$/u);
    expect(record.stack).toMatch(/^中+ … \[cut at 16384 bytes\]$/);
    expect(encodedBytes(record.message)).toBeLessThanOrEqual(8192);
    expect(encodedBytes(record.message)).toBeGreaterThan(8180);
    expect(encodedBytes(record.stack ?? "")).toBeLessThanOrEqual(16_384);
  });

  test("text that just fits is kept", () => {
    expect(toErrorRecord("x".repeat(8192)).message).toBe("x".repeat(8192));
    expect(toErrorRecord("é".repeat(4096)).message).toBe("é".repeat(4096));
    expect(toErrorRecord("é".repeat(4097)).message).toMatch(/cut at 8192 bytes/);
  });

  test("can be set, but not below 64 bytes", () => {
    const record = toErrorRecord(new Error("x".repeat(500)), { message: 100, stack: 1 });
    expect(record.message).toMatch(/^x+ … \[cut at 100 bytes\]$/);
    expect(record.message.length).toBe(98);
    expect(record.stack).toMatch(/^Error: x+ … \[cut at 64 bytes\]$/);
  });

  test("names and codes are cut at 256 bytes", () => {
    const long = "N".repeat(999);
    const record = toErrorRecord(Object.assign(new Error("m"), { name: long, code: long }));
    expect(record.name).toMatch(/^N+ … \[cut at 256 bytes\]$/);
    expect(record.code).toBe(record.name);
  });

  test("text loses U+0000 and lone surrogates", () => {
    const error = Object.assign(new Error("a\0\ud800"), { code: "\0", stack: "\udc00" });
    expect(toErrorRecord(error)).toMatchObject({
      message: "a\ufffd\ufffd",
      code: "\ufffd",
      stack: "\ufffd",
    });
  });

  function chain(length: number): Error {
    const start = new Error("0");
    return Array.from({ length }).reduce<Error>(
      (cause, _, index) => new Error(`${index + 1}`, { cause }),
      start,
    );
  }

  function depthOf(record: ErrorRecord): number {
    return record.cause === undefined ? 0 : 1 + depthOf(record.cause);
  }

  test("causes stop at the depth, which is 8 by default", () => {
    expect(depthOf(toErrorRecord(chain(8)))).toBe(8);
    expect(depthOf(toErrorRecord(chain(50)))).toBe(8);
    expect(depthOf(toErrorRecord(chain(50), { causeDepth: 2 }))).toBe(2);
    expect(depthOf(toErrorRecord(chain(50), { causeDepth: 0 }))).toBe(0);
  });

  test("causes stop at a cycle", () => {
    const error = new Error("a");
    error.cause = new Error("b", { cause: error });
    expect(depthOf(toErrorRecord(error))).toBe(1);
    const twice = new Error("same");
    expect(toErrorRecord(new AggregateError([twice, twice], "m")).errors?.length).toBe(2);
  });
});

describe("decodeErrorRecord", () => {
  test.each([
    "",
    "{",
    "null",
    "5",
    "[]",
    "{}",
    '{"name":"E"}',
    '{"name":5,"message":"m"}',
    '{"name":"E","message":"m","stack":5}',
    '{"name":"E","message":"m","code":5}',
    '{"name":"E","message":"m","cause":5}',
    '{"name":"E","message":"m","errors":{}}',
    '{"name":"E","message":"m","errors":[5]}',
    '{"name":"E","message":"m","details":[]}',
    '{"name":"E","message":"m","details":null}',
    `${'{"name":"E","message":"m","cause":'.repeat(100_000)}5${"}".repeat(100_000)}`,
  ])("refuses corrupt text %#", (text) => {
    const decode = () => decodeErrorRecord(text);
    expect(decode).toThrow(
      expect.objectContaining({ name: "PayloadError", code: "VALUE_CORRUPT" }),
    );
    expect(decode).toThrow(/^A stored error cannot be read: ".*restore it from a backup\.$/);
  });

  test("drops fields that it does not know", () => {
    expect(decodeErrorRecord('{"name":"E","message":"m","later":1}')).toEqual({
      name: "E",
      message: "m",
    });
  });
});
