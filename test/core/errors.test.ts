import { describe, expect, test, vi } from "vitest";
import * as errors from "../../src/core/errors.js";

const {
  ConfigError,
  describeValue,
  errorCodes,
  isNonRetriable,
  isPawlError,
  NonRetriableError,
  PawlError,
  PayloadError,
  RetryAfterError,
  readSafely,
  retryAfterOf,
  RunError,
  StorageError,
  TaskError,
  TaskInterruptedError,
  WaitTimeoutError,
} = errors;

const hostile = new Proxy(
  {},
  {
    get() {
      throw new Error("trap");
    },
    getPrototypeOf() {
      throw new Error("trap");
    },
  },
);

/** A second evaluation of the same module, as a bundler makes it. */
async function secondCopy(): Promise<typeof errors> {
  vi.resetModules();
  return import("../../src/core/errors.js");
}

describe("error codes", () => {
  test.each(Object.entries(errorCodes))("%s says in one sentence what to do", (_, entry) => {
    expect(entry.help).toMatch(/^[A-Zjw].{30,}\.$/);
    expect(["config", "payload", "task", "run", "storage"]).toContain(entry.concern);
  });
});

describe("PawlError", () => {
  test("keeps code, message, cause and details", () => {
    const cause = new Error("disk");
    const error = new StorageError("STORAGE_FAILED", "cannot write", {
      cause,
      details: { table: "runs" },
    });
    expect(error).toMatchObject({ code: "STORAGE_FAILED", details: { table: "runs" } });
    expect(error.message).toBe("cannot write");
    expect(error.cause).toBe(cause);
  });

  test("has neither cause nor details unless they are given", () => {
    const error = new PawlError("JOB_UNKNOWN", "no job");
    expect(Object.keys(error)).toEqual(["code"]);
    expect("cause" in error).toBe(false);
    expect("details" in error).toBe(false);
  });

  test.each([
    ["PawlError", new PawlError("RUN_NOT_FOUND", "m")],
    ["ConfigError", new ConfigError("OPTION_INVALID", "m")],
    ["PayloadError", new PayloadError("PAYLOAD_INVALID", "m")],
    ["TaskError", new TaskError("KEY_INVALID", "m")],
    ["RunError", new RunError("RUN_CANCELED", "m")],
    ["StorageError", new StorageError("STORAGE_CLOSED", "m")],
    ["WaitTimeoutError", new WaitTimeoutError("m")],
    ["TaskInterruptedError", new TaskInterruptedError("m")],
  ])("%s is named so in name and stack, and is a PawlError", (name, error) => {
    expect(error.name).toBe(name);
    expect(error.stack).toMatch(new RegExp(`^${name}: m\n`));
    expect(error).toBeInstanceOf(PawlError);
    expect(error).toBeInstanceOf(Error);
    expect(isPawlError(error)).toBe(true);
  });

  test("two kinds of task error carry a code of their own", () => {
    const options = { cause: 1, details: { key: "k" } };
    expect(new WaitTimeoutError("m", options)).toMatchObject({ code: "WAIT_TIMEOUT", ...options });
    expect(new TaskInterruptedError("m", options)).toMatchObject({
      code: "TASK_INTERRUPTED",
      ...options,
    });
    expect(new WaitTimeoutError("m")).toBeInstanceOf(TaskError);
    expect(new TaskInterruptedError("m")).toBeInstanceOf(TaskError);
  });

  test("a PayloadError lists the issues that its details hold", () => {
    const issues = [{ path: ["user", 0], message: "is missing" }];
    expect(new PayloadError("PAYLOAD_INVALID", "m", { details: { issues } }).issues).toEqual(
      issues,
    );
    expect(new PayloadError("VALUE_CORRUPT", "m").issues).toEqual([]);
  });
});

describe("isPawlError", () => {
  test("compares the code if one is given", () => {
    const error = new RunError("RATE_LIMITED", "m");
    expect(isPawlError(error, "RATE_LIMITED")).toBe(true);
    expect(isPawlError(error, "RUN_CANCELED")).toBe(false);
  });

  test("knows the errors of a second copy of the library, which instanceof does not", async () => {
    const copy = await secondCopy();
    const foreign = new copy.RunError("RUN_CANCELED", "m");
    expect(foreign).not.toBeInstanceOf(PawlError);
    expect(isPawlError(foreign, "RUN_CANCELED")).toBe(true);
    expect(isNonRetriable(new copy.NonRetriableError("m"))).toBe(true);
    expect(retryAfterOf(new copy.RetryAfterError(new Date(5)))).toEqual(new Date(5));
  });

  test("says no to anything else, and never throws", () => {
    const others = [undefined, null, "text", 1, {}, new Error("e"), { code: "RUN_CANCELED" }];
    for (const value of [...others, hostile]) {
      expect(isPawlError(value)).toBe(false);
      expect(isNonRetriable(value)).toBe(false);
      expect(retryAfterOf(value)).toBeUndefined();
    }
  });
});

describe("what users throw", () => {
  test("a NonRetriableError keeps message and cause", () => {
    const error = new NonRetriableError("declined", { cause: "bank" });
    expect(error).toMatchObject({ name: "NonRetriableError", message: "declined", cause: "bank" });
    expect("cause" in new NonRetriableError("m")).toBe(false);
    expect(isNonRetriable(error)).toBe(true);
    expect(isPawlError(error)).toBe(false);
  });

  test("a subclass keeps the intent under a name of its own", () => {
    class CardDeclined extends NonRetriableError {
      override readonly name = "CardDeclined";
    }
    expect(isNonRetriable(new CardDeclined("m"))).toBe(true);
  });

  test("a RetryAfterError tells the instant, which nobody can change afterwards", () => {
    const at = new Date("2030-01-02T03:04:05.006Z");
    const error = new RetryAfterError(at, undefined, { cause: "429" });
    expect(error).toMatchObject({ name: "RetryAfterError", cause: "429", retryAt: at });
    expect(error.message).toBe("Retry after 2030-01-02T03:04:05.006Z");
    at.setTime(0);
    retryAfterOf(error)?.setTime(0);
    expect(retryAfterOf(error)?.toISOString()).toBe("2030-01-02T03:04:05.006Z");
    expect(new RetryAfterError(at, "busy").message).toBe("busy");
    expect(isNonRetriable(error)).toBe(false);
  });

  test.each([new Date(Number.NaN), 5000, "2030-01-01", undefined])(
    "a RetryAfterError takes no %s",
    (value) => {
      const make = () => new RetryAfterError(value as Date);
      expect(make).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
      expect(make).toThrow(/RetryAfterError got .+ as retryAt; pass a valid Date/);
    },
  );

  test("an instant that was broken later counts as none", () => {
    const error = new RetryAfterError(new Date(5));
    error.retryAt.setTime(Number.NaN);
    expect(retryAfterOf(error)).toBeUndefined();
  });
});

describe("describeValue", () => {
  class Row {}
  test.each<[unknown, string]>([
    ["a\nb", '"a\\nb"'],
    ["x".repeat(81), `"${"x".repeat(80)}…"`],
    ["x".repeat(80), `"${"x".repeat(80)}"`],
    [-0, "-0"],
    [Number.NaN, "NaN"],
    [12n, "12n"],
    [true, "true"],
    [undefined, "undefined"],
    [null, "null"],
    [Symbol("s"), "Symbol(s)"],
    [() => 1, "a function"],
    [[1, 2], "an array of 2"],
    [{ a: 1 }, "an object"],
    [Object.create(null), "an object"],
    [Object.create({ constructor: { name: "" } }), "an object"],
    [new Row(), "an instance of Row"],
    [new Map(), "an object of type Map"],
    [Promise.resolve(), "an object of type Promise"],
  ])("shows %o as %s", (value, expected) => {
    expect(describeValue(value)).toBe(expected);
  });

  test("does not run into what a proxy throws", () => {
    expect(describeValue(hostile)).toBe("an object");
  });

  test("cuts no surrogate pair in half", () => {
    expect(describeValue(`${"x".repeat(79)}😀`)).not.toMatch(/\\ud83d/);
  });
});

test("readSafely gives undefined where reading throws", () => {
  expect(readSafely(hostile, "a")).toBeUndefined();
  expect(readSafely(null, "a")).toBeUndefined();
  expect(readSafely({ a: 1 }, "a")).toBe(1);
});
