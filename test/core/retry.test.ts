import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type RetryOptions, resolveRetry, retry, retryDelayMs } from "../../src/core/retry.js";

const never = (): number => {
  throw new Error("random was called");
};

function delays(options: RetryOptions | undefined, random = never): number[] {
  const resolved = resolveRetry(options);
  const all: number[] = [];
  for (let failed = 1; ; failed++) {
    const delay = retryDelayMs(resolved, failed, random);
    if (delay === undefined) return all;
    all.push(delay);
  }
}

describe("resolveRetry", () => {
  test("without options there is one attempt", () => {
    expect(resolveRetry(undefined).limit).toBe(1);
    expect(delays(undefined)).toEqual([]);
  });

  test("options that are left out or undefined get the defaults of trigger.dev v2", () => {
    const defaults = {
      limit: 5,
      factor: 1.8,
      minTimeoutInMs: 1000,
      maxTimeoutInMs: 60_000,
      randomize: true,
    };
    expect(resolveRetry({})).toEqual(defaults);
    expect(resolveRetry({ limit: undefined, randomize: undefined })).toEqual(defaults);
  });

  test("options that are given are kept", () => {
    const options = {
      limit: 2,
      factor: 3,
      minTimeoutInMs: 4,
      maxTimeoutInMs: 5,
      randomize: false,
    };
    expect(resolveRetry(options)).toEqual(options);
  });

  test("a limit of 0 means one attempt, as 1 does", () => {
    expect(resolveRetry({ limit: 0 }).limit).toBe(1);
    expect(delays({ limit: 1 })).toEqual([]);
  });

  test.each<[unknown, RegExp]>([
    [{ limit: 1.5 }, /^retry\.limit is 1\.5; pass a whole number of attempts, 0 or more\.$/],
    [{ limit: -1 }, /retry\.limit is -1/],
    [{ limit: Number.POSITIVE_INFINITY }, /retry\.limit is Infinity/],
    [{ limit: "3" }, /retry\.limit is "3"/],
    [{ factor: 0 }, /retry\.factor is 0; pass a finite number above 0/],
    [{ factor: Number.NaN }, /retry\.factor is NaN/],
    [{ minTimeoutInMs: -1 }, /retry\.minTimeoutInMs is -1; pass a finite number of milliseconds/],
    [{ maxTimeoutInMs: "1s" }, /retry\.maxTimeoutInMs is "1s"/],
    [{ randomize: 1 }, /retry\.randomize is 1; pass true or false/],
    [null, /retry is null; pass an object such as/],
    [3, /retry is 3; pass an object/],
  ])("%j is refused", (options, message) => {
    const resolve = () => resolveRetry(options as RetryOptions);
    expect(resolve).toThrow(message);
    expect(resolve).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  });

  test.each(["limits", "toString", "__proto__"])("%s is no option", (name) => {
    const resolve = () => resolveRetry(JSON.parse(`{ "${name}": 1 }`));
    expect(resolve).toThrow(`retry has no option "${name}"; its options are limit, factor`);
    expect(resolve).toThrow(expect.objectContaining({ code: "OPTION_UNKNOWN" }));
  });
});

describe("retryDelayMs", () => {
  test.each<[string, RetryOptions, number[]]>([
    ["defaults", {}, [1000, 1000, 1800, 3240]],
    ["standardBackoff", retry.standardBackoff, [500, 500, 900, 1620, 2916, 5249, 9448]],
    ["exponentialBackoff", retry.exponentialBackoff, [1000, 1000, 2000, 4000, 8000, 16000, 30000]],
    ["a shrinking factor", { factor: 0.5, limit: 4 }, [1000, 1000, 500]],
    [
      "a maximum below the minimum",
      { minTimeoutInMs: 9000, maxTimeoutInMs: 70, limit: 3 },
      [70, 70],
    ],
    ["no delay", { minTimeoutInMs: 0, limit: 3 }, [0, 0]],
  ])("gives the delays of trigger.dev v2 for %s", (_, options, expected) => {
    expect(delays({ ...options, randomize: false })).toEqual(expected);
  });

  test("a random factor from 1 to 2 comes before the maximum", () => {
    expect(delays({}, () => 0)).toEqual([1000, 1000, 1800, 3240]);
    expect(delays({}, () => 0.5)).toEqual([1500, 1500, 2700, 4860]);
    expect(delays({ maxTimeoutInMs: 2000 }, () => 0.5)).toEqual([1500, 1500, 2000, 2000]);
  });

  test("asks for one random number per delay", () => {
    let calls = 0;
    delays({ limit: 4 }, () => ++calls / 100);
    expect(calls).toBe(3);
  });

  test("stays a whole number within the bounds, for any options and attempt", () => {
    const options = fc.record({
      limit: fc.nat(),
      factor: fc.double({ min: 0.001, max: 1e9, noNaN: true }),
      minTimeoutInMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
      maxTimeoutInMs: fc.nat(),
      randomize: fc.boolean(),
    });
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(options, fc.integer({ min: 1 }), random, (given, failed, drawn) => {
        const delay = retryDelayMs(resolveRetry(given), failed, () => drawn);
        if (failed >= given.limit) return delay === undefined;
        return (
          Number.isSafeInteger(delay) && Number(delay) >= 0 && Number(delay) <= given.maxTimeoutInMs
        );
      }),
    );
  });

  test("nobody can change the presets", () => {
    expect(Object.isFrozen(retry)).toBe(true);
    expect(Object.isFrozen(retry.standardBackoff)).toBe(true);
    expect(Object.isFrozen(retry.exponentialBackoff)).toBe(true);
  });
});

test("a delay stays a number where the growth is beyond all numbers and the minimum is 0", () => {
  const options = { limit: 1e9, factor: 2, minTimeoutInMs: 0, maxTimeoutInMs: 0, randomize: false };
  expect(retryDelayMs(resolveRetry(options), 5_000, () => 0)).toBe(0);
});
