import { type } from "arktype";
import { defineJob, eventTrigger, invokeTrigger, type SchemaInput, type SchemaOutput } from "pawl";
import * as v from "valibot";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";

/** In every schema: `day` is sent as text and arrives as a Date, `count` may be left out and arrives as a number. */
const day = (text: string): Date => new Date(text);
const withZod = z.object({ day: z.string().transform(day), count: z.number().default(1) });
const withValibot = v.object({
  day: v.pipe(v.string(), v.transform(day)),
  count: v.optional(v.number(), 1),
});
const withArktype = type({ day: type("string").pipe(day), count: "number = 1" });

type Sent = { day: string; count?: number | undefined };
type Arrived = { day: Date; count: number };

describe("payload types come through transforms", () => {
  test("of zod", () => {
    const job = defineJob({
      id: "a",
      trigger: invokeTrigger({ schema: withZod }),
      run: async (payload) => {
        expectTypeOf(payload).toEqualTypeOf<Arrived>();
        // @ts-expect-error a Date arrives, not the text that was sent
        payload.day.toUpperCase();
      },
    });
    expectTypeOf(job.invoke).toBeCallableWith({ day: "2026-01-01" });
    // @ts-expect-error text is sent, not the Date that arrives
    void job.invoke({ day: new Date() });
    expectTypeOf<SchemaInput<typeof withZod>>().toEqualTypeOf<Sent>();
  });

  test("of valibot", () => {
    const job = defineJob({
      id: "a",
      trigger: eventTrigger({ name: "e", schema: withValibot }),
      run: async (payload) => {
        expectTypeOf(payload).toEqualTypeOf<Arrived>();
        // @ts-expect-error a Date arrives
        payload.day.toUpperCase();
      },
    });
    expectTypeOf(job.invoke).toBeCallableWith({ day: "2026-01-01" });
    // @ts-expect-error text is sent
    void job.invoke({ day: new Date() });
    expectTypeOf<SchemaInput<typeof withValibot>>().toEqualTypeOf<Sent>();
  });

  test("of arktype", () => {
    const job = defineJob({
      id: "a",
      trigger: invokeTrigger({ schema: withArktype }),
      run: async (payload) => {
        expectTypeOf(payload).toEqualTypeOf<Arrived>();
        // @ts-expect-error a Date arrives
        payload.day.toUpperCase();
      },
    });
    expectTypeOf(job.invoke).toBeCallableWith({ day: "2026-01-01" });
    // @ts-expect-error text is sent
    void job.invoke({ day: new Date() });
    expectTypeOf<SchemaOutput<typeof withArktype>>().toEqualTypeOf<Arrived>();
  });

  test("of a plain object with safeParse, where both are one", () => {
    const plain = {
      safeParse(value: unknown) {
        return typeof value === "number"
          ? { success: true as const, data: value }
          : { success: false as const, error: { issues: [{ path: [], message: "no number" }] } };
      },
    };
    const job = defineJob({
      id: "a",
      trigger: invokeTrigger({ schema: plain }),
      run: async (payload) => {
        expectTypeOf(payload).toEqualTypeOf<number>();
        // @ts-expect-error a number
        payload.toUpperCase();
      },
    });
    expectTypeOf(job.invoke).toBeCallableWith(1);
    // @ts-expect-error a number
    void job.invoke("1");
  });

  test("and without a schema they are unknown", () => {
    defineJob({
      id: "a",
      trigger: invokeTrigger(),
      run: async (payload) => {
        expectTypeOf(payload).toBeUnknown();
        // @ts-expect-error nobody has looked at it
        payload.day;
      },
    });
  });

  test("something that is no schema is refused", () => {
    // @ts-expect-error neither a Standard Schema nor safeParse
    invokeTrigger({ schema: { parse: (value: unknown) => value } });
    // @ts-expect-error the same for events
    eventTrigger({ name: "e", schema: { parse: (value: unknown) => value } });
  });
});
