import { describe, expect, test } from "vitest";
import { has, rejects, same } from "../../src/adapter-kit/suite/check.js";
import { defineJob, invokeTrigger } from "../../src/index.js";
import { fakeClock, testJob } from "../../src/testing/index.js";

describe("the checks of the adapter kit", () => {
  test("a list is not the object of the same members", () => {
    expect(() => same([1], { 0: 1 })).toThrow(/expected \{"0":1\}, got \[1\]/);
    expect(() => same({ a: [1, 2] }, { a: [1, 2], b: undefined })).not.toThrow();
  });

  test("nothing has no properties", () => {
    expect(() => has<{ a: number }>(undefined, { a: 1 }, "run")).toThrow("run: there is none");
  });

  test("what is rejected without being an error is compared itself", async () => {
    await rejects(() => Promise.reject({ code: "X" }), "X");
    await rejects(() => Promise.reject("X"), "X");
    await expect(rejects(async () => 1, "X")).rejects.toThrow(/got "no error"/);
  });
});

test("the wall clock jumps forth and back, monotonic time does neither", () => {
  const clock = fakeClock(new Date(0));
  const before = clock.monotonic();
  clock.jump("1h");
  expect(clock.now()).toBe(3_600_000);
  clock.jump({ backMs: 600_000 });
  expect(clock.now()).toBe(3_000_000);
  expect(clock.monotonic()).toBe(before);
});

test("testJob gives all log lines, also of a run with very many", async () => {
  const { logs } = await testJob(
    defineJob({
      id: "chatty",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        for (let n = 0; n < 2_500; n++) io.logger.info(`line ${n}`);
      },
    }),
  );
  expect(logs.map(({ message }) => message)).toEqual(
    Array.from({ length: 2_500 }, (_, n) => `line ${n}`),
  );
});

test("calls that have no mock are made, beside those that have one", async () => {
  const job = defineJob({
    id: "mixed",
    trigger: invokeTrigger(),
    run: async (_payload, io) => [
      await io.random("mine"),
      await io.random("other", { min: 5, max: 6 }),
    ],
  });
  const { output } = await testJob(job, { mocks: { mine: 7 } } as never);
  const [mine, other] = output as number[];
  expect(mine).toBe(7);
  expect(Math.floor(other ?? 0)).toBe(5);
});

describe("mistakes in a test are told, not passed over", () => {
  const job = defineJob({ id: "j", trigger: invokeTrigger(), run: async () => 1 });

  test.for([
    ["no job", undefined, {}, /takes what defineJob gives, got undefined/],
    ["a list of mocks", job, { mocks: [] }, /results by key path/],
    ["a mock without its key", job, { mocks: "x" }, /results by key path/],
    ["another way to replay", job, { replay: "always" }, /pass "every-task"/],
    ["a crash before the first commit", job, { crash: { commit: 0, when: "after" } }, /from 1/],
    ["a crash at no time", job, { crash: { commit: 1, when: "never" } }, /"before" or "after"/],
    ["a crash of more", job, { crash: { commits: 1 } }, /no option "commits"/],
    ["a start that is no date", job, { start: new Date("soon") }, /starts at a valid Date/],
    ["a start that is no number", job, { start: Number.NaN }, /got NaN/],
  ] as const)("%s", async ([, tested, options, message]) => {
    await expect(testJob(tested as never, options as never)).rejects.toThrow(message);
  });
});
