import { defineEvent, type EventFilter, eventTrigger, type FilterFor } from "pawl";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";

interface Order {
  id: string;
  total: number;
  paid: boolean;
  country: "DE" | "AT";
  note?: string | null;
  placedAt: Date;
  tags: string[];
  customer: { vip: boolean; address?: { city: string } };
  items: { sku: string; count: number }[];
  anything: unknown;
}
type Filter = FilterFor<Order>;
const accept = (filter: Filter) => filter;

describe("a filter of a typed payload", () => {
  test("takes values and operators that fit", () => {
    accept({ id: ["a", "b"], total: [1, 2], paid: [true], country: ["DE"] });
    accept({
      id: [{ $startsWith: "a" }, { $anythingBut: ["ab", "ac"] }],
      note: [{ $isNull: true }],
    });
    accept({ total: [{ $gte: 1 }, { $between: [1, 2] }], country: [{ $not: "AT" }] });
    accept({ tags: [{ $includes: "new" }], placedAt: [{ $exists: true }] });
    accept({ customer: { vip: [true], address: { city: ["Graz"] } }, items: { sku: ["a"] } });
    accept({ anything: { deep: { deeper: ["x"] } } });
    accept({});
  });

  test("refuses a property that the payload has not", () => {
    // @ts-expect-error no such property
    accept({ totals: [1] });
    // @ts-expect-error no such property of the customer
    accept({ customer: { vips: [true] } });
    // @ts-expect-error no such property of an item
    accept({ items: { skus: ["a"] } });
    // @ts-expect-error text has no properties to filter by
    accept({ id: { length: [1] } });
  });

  test("refuses values and operators that do not fit", () => {
    // @ts-expect-error an id is text
    accept({ id: [1] });
    // @ts-expect-error no such country
    accept({ country: ["CH"] });
    // @ts-expect-error two types
    accept({ note: ["a", 1] });
    // @ts-expect-error of numbers only
    accept({ id: [{ $gt: 1 }] });
    // @ts-expect-error of text only
    accept({ total: [{ $startsWith: "1" }] });
    // @ts-expect-error of lists only
    accept({ id: [{ $includes: "a" }] });
    // @ts-expect-error tags are text
    accept({ tags: [{ $includes: 1 }] });
    // @ts-expect-error a list never equals a value
    accept({ tags: ["new"] });
    // @ts-expect-error a total is a number
    accept({ total: [{ $anythingBut: "1" }] });
    // @ts-expect-error there is no such operator
    accept({ id: [{ $regex: "a" }] });
    // @ts-expect-error an operator stands in a list
    accept({ total: { $gt: 1 } });
  });

  test("of several shapes takes the properties of each", () => {
    type Shape = { kind: "circle"; radius: number } | { kind: "square"; side: number };
    const filter: FilterFor<Shape> = { kind: ["circle"], radius: [{ $gt: 1 }], side: [1] };
    expectTypeOf(filter).toExtend<FilterFor<Shape>>();
    // @ts-expect-error no such kind
    const wrong: FilterFor<Shape> = { kind: ["oval"] };
    void wrong;
  });

  test("of a recursive payload is a type, too", () => {
    type Tree = { name: string; children: Tree[] };
    const filter: FilterFor<Tree> = { children: { children: { name: ["leaf"] } } };
    void filter;
  });
});

describe("a filter of a trigger", () => {
  const schema = z.object({ at: z.string().transform((text) => new Date(text)), n: z.number() });

  test("is typed by what is sent, not by what run gets", () => {
    eventTrigger({ name: "e", schema, filter: { at: [{ $startsWith: "2026" }] } });
    eventTrigger({ name: defineEvent({ name: "e", schema }), filter: { n: [{ $gt: 1 }] } });
    // @ts-expect-error misspelt
    eventTrigger({ name: "e", schema, filter: { an: [{ $gt: 1 }] } });
    // @ts-expect-error sent as text
    eventTrigger({ name: defineEvent({ name: "e", schema }), filter: { at: [{ $gt: 1 }] } });
  });

  test("without a schema takes any property", () => {
    eventTrigger({ name: "e", filter: { whatever: { deep: [{ $exists: true }] } } });
    // @ts-expect-error not any operator
    eventTrigger({ name: "e", filter: { whatever: [{ $exist: true }] } });
    expectTypeOf<FilterFor<unknown>>().toEqualTypeOf<EventFilter>();
  });
});
