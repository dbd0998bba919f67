import { describe, expect, test } from "vitest";
import { defineEvent, nameOf } from "../../src/core/event.js";
import { endSignals } from "../../src/core/final.js";
import { assertJob, compareVersions } from "../../src/core/job-options.js";
import {
  assertGivenOptions,
  assertInteger,
  assertOptions,
  describe as textOf,
} from "../../src/core/options.js";
import { assertSchema, parseWith, type StandardIssue } from "../../src/core/schema.js";
import { type Signal, WATCH_TOPIC } from "../../src/core/storage.js";
import { eventTrigger } from "../../src/core/trigger.js";

const failing = (issues: readonly StandardIssue[]) => ({
  "~standard": { version: 1 as const, vendor: "test", validate: () => ({ issues }) },
});

describe("schemas", () => {
  test.for([
    ["nothing", undefined],
    ["null", null],
    ["a text", "string"],
    ["an object of neither kind", { parse: () => 1 }],
    ["a Standard Schema without validate", { "~standard": { version: 1 } }],
    ["a Standard Schema of null", { "~standard": null }],
    ["a safeParse that is no function", { safeParse: true }],
  ])("%s is no schema", ([, value]) => {
    expect(() => assertSchema(value, "this")).toThrow(/schema of this is neither/);
  });

  test("a function can be a schema of either kind", () => {
    const standard = Object.assign(() => {}, failing([]));
    const safeParse = Object.assign(() => {}, { safeParse: () => ({ success: true, data: 1 }) });
    expect(() => assertSchema(standard, "this")).not.toThrow();
    expect(() => assertSchema(safeParse, "this")).not.toThrow();
  });

  test("the path of an issue is plain, whether its parts are keys, objects, symbols or left out", async () => {
    const schema = failing([
      { message: "whole" },
      { message: "plain", path: ["items", 0] },
      { message: "wrapped", path: [{ key: "items" }, { key: 1 }] },
      { message: "symbol", path: [Symbol("s")] },
    ]);
    expect(await parseWith(schema, {})).toEqual({
      ok: false,
      issues: [
        { message: "whole", path: [] },
        { message: "plain", path: ["items", 0] },
        { message: "wrapped", path: ["items", 1] },
        { message: "symbol", path: ["Symbol(s)"] },
      ],
    });
  });
});

describe("answers of schemas that are none", () => {
  test.for([
    ["nothing", undefined, "undefined"],
    ["null", null, "null"],
    ["a text", "fine", '"fine"'],
    ["a promise", Promise.resolve({ success: true, data: 1 }), "a promise"],
    ["neither success nor issues", {}, "an object"],
    ["an error without issues", { success: false, error: new Error("no") }, "an object"],
  ])("%s of safeParse", ([, answer, shown]) => {
    expect(() => parseWith({ safeParse: () => answer as never }, 1)).toThrow(
      expect.objectContaining({
        code: "SCHEMA_UNRECOGNIZED",
        message: expect.stringContaining(`safeParse of a schema answered ${shown}, which`),
      }),
    );
  });

  test("nothing of a Standard Schema, at once or later", async () => {
    const answering = (answer: unknown) => ({
      "~standard": { version: 1 as const, vendor: "test", validate: () => answer as never },
    });
    expect(() => parseWith(answering(undefined), 1)).toThrow(/validate of a schema answered/);
    await expect(parseWith(answering(Promise.resolve(7)), 1)).rejects.toThrow(/answered 7, which/);
  });
});

describe("events and triggers", () => {
  test.for([
    ["undefined", undefined],
    ["null", null],
    ["a number", 7],
    ["an object without a name", {}],
  ])("%s names no event", ([, name]) => {
    expect(() => nameOf(name as never)).toThrow(/An event needs a name/);
  });

  test("a trigger without a name, or with one that is none, says what it got", () => {
    for (const [options, shown] of [
      [{}, "undefined"],
      [{ name: ["paid", 7] }, "7"],
      [{ name: { name: 7 } }, "an object"],
    ] as const)
      expect(() => eventTrigger(options as never)).toThrow(
        `eventTrigger needs a name: a string or a defineEvent() result, got ${shown}.`,
      );
  });

  test("a trigger whose schema nobody knows names its events", () => {
    const name = ["paid", defineEvent({ name: "sent" })];
    expect(() => eventTrigger({ name, schema: {} as never })).toThrow(/eventTrigger "paid, sent"/);
  });

  test("events of different schemas need one of the trigger", () => {
    const name = ["paid", defineEvent({ name: "sent", schema: failing([]) })] as const;
    expect(() => eventTrigger({ name })).toThrow(/"paid", "sent" have different schemas/);
    expect(eventTrigger({ name, schema: failing([]) }).data).toMatchObject({
      names: ["paid", "sent"],
    });
  });
});

describe("options", () => {
  test("options may be left out, and are an object otherwise", () => {
    expect(() => assertOptions(undefined, ["a"], "f")).not.toThrow();
    expect(() => assertOptions({ a: 1 }, ["a"], "f")).not.toThrow();
    expect(() => assertOptions(null, ["a"], "f")).toThrow(/takes an options object, got null/);
    expect(() => assertOptions([], ["a"], "f")).toThrow(/got an array/);
    expect(() => assertOptions("a", ["a"], "f")).toThrow(/got "a"/);
    expect(() => assertGivenOptions(undefined, ["a"], "f")).toThrow(/got undefined/);
  });

  test("a number out of range is told its bounds, an open one without an end", () => {
    expect(() => assertInteger(0, "n", { min: 1 })).toThrow("n must be a whole number from 1, got");
    expect(() => assertInteger(3, "n", { min: 1, max: 2 })).toThrow("from 1 to 2, got 3");
    expect(() => assertInteger(1.5, "n", { min: 1, max: 2 })).toThrow("got 1.5");
  });

  test("a message shows short values whole, long texts cut and objects by their kind", () => {
    expect(textOf("short")).toBe('"short"');
    expect(textOf("x".repeat(81))).toBe(`"${"x".repeat(77)}..."`);
    expect([textOf(1n), textOf(null), textOf([]), textOf({})]).toEqual([
      "1",
      "null",
      "an array",
      "an object",
    ]);
  });

  test.for([undefined, null, 1, {}, { options: {} }])("%o is no job", (value) => {
    expect(() => assertJob(value as never)).toThrow(/take what defineJob gives/);
  });

  test("versions are compared number by number, one that is left out counts as zero", () => {
    expect(compareVersions("1.0.10", "1.0.9")).toBe(1);
    expect(compareVersions("1.9.0", "2.0.0")).toBe(-1);
    expect(compareVersions("1.2", "1.2.0")).toBe(0);
    expect(compareVersions("1.2.0", "1.2")).toBe(0);
    expect(compareVersions("1.2", "1.2.1")).toBe(-1);
  });
});

describe("the end of a run", () => {
  const run = { id: "r", parentId: null, parentPath: null, generation: 1 };
  const signal = (topic: string, ref: string | null): Signal =>
    ({ id: "s", topic, ref, seq: 1 }) as never;

  test("tells those who watch it, and is not held up by other signals", () => {
    const watch = JSON.stringify({ watcherId: "w", signalId: "done", topic: "run:r" });
    const inbox = [signal("event:e", watch), signal(WATCH_TOPIC, null), signal(WATCH_TOPIC, watch)];
    expect(endSignals(run, inbox)).toEqual([{ runId: "w", id: "done", topic: "run:r", ref: "r" }]);
  });

  test("tells the parent, by generation, so that a retry tells it again", () => {
    const ofChild = { ...run, parentId: "p", parentPath: "call", generation: 2 };
    expect(endSignals(ofChild, [])).toEqual([
      { runId: "p", id: "end:r:2", topic: "run:r", ref: "r" },
    ]);
  });
});
