import { testStorage } from "pawl/adapter-kit";
import { memory } from "pawl/memory";
import { describe, expect, test } from "vitest";
import { type BrokenAdapter, brokenAdapters, withMethods } from "./broken.js";
import { failuresOf, type RegisteredCase, suiteFor } from "./broken-suite.js";

function broken({ breaks }: BrokenAdapter): RegisteredCase[] {
  return suiteFor(() => {
    const methods = breaks();
    return (data) => {
      const inner = memory({ data });
      return withMethods(inner, methods(inner));
    };
  });
}

const sound = suiteFor(() => (data) => memory({ data }));

describe("the conformance suite and storages that break one promise", () => {
  test("a storage that keeps all of them passes", async () => {
    expect(await failuresOf(sound)).toEqual([]);
  });

  test.each(brokenAdapters)(
    "$fault: noticed where it should be, and nowhere else",
    async (adapter) => {
      const failures = await failuresOf(broken(adapter));
      const topics = new Set(failures.map(({ topic }) => topic));
      expect([...topics].sort()).toEqual([...adapter.noticedBy].sort());
    },
  );

  test("every topic of which something can be promised notices something", () => {
    const noticing = new Set(brokenAdapters.flatMap(({ noticedBy }) => noticedBy));
    const blind = sound.filter(({ topic }) => !noticing.has(topic)).map(({ topic }) => topic);
    // Hints may be lost, doubled and wrong.
    expect([...new Set(blind)]).toEqual(["subscribe"]);
  });

  test("no title comes twice", () => {
    const titles = sound.map(({ title }) => title);
    expect(titles.filter((title, index) => titles.indexOf(title) !== index)).toEqual([]);
  });
});

describe("declared deviations", () => {
  const options = (tests: string[]) => {
    const skipped: string[] = [];
    const run: string[] = [];
    testStorage({
      name: "some",
      runner: {
        describe: (_, body) => body(),
        test: Object.assign((title: string) => run.push(title), {
          skip: (title: string) => skipped.push(title),
        }),
      },
      create: () => ({ open: () => memory() }),
      skip: [{ reason: "why", tests }],
    });
    return { skipped, run };
  };

  test("a case and a topic are left out by name, with the reason", () => {
    const { skipped, run } = options([
      "a claim says who holds the run, since when and until when",
      "values",
    ]);
    expect(skipped).toContain("a claim says who holds the run, since when and until when (why)");
    expect(skipped).toContain("no character of a prefix is a wildcard (why)");
    expect(run).not.toContain("no character of a prefix is a wildcard");
  });

  test("a name that the suite does not know is a mistake", () => {
    expect(() => options(["a test of old"])).toThrow('no test "a test of old"');
  });

  test("what a storage does not claim to have is left out with the reason", async () => {
    const reasons: (string | undefined)[] = [];
    const bodies: (() => Promise<void>)[] = [];
    const context = { skip: (reason?: string) => reasons.push(reason) };
    testStorage({
      name: "modest",
      runner: {
        describe: (title, body) =>
          title.includes("S7") || title.includes("subscribe") ? body() : undefined,
        test: Object.assign(
          (_: string, body: (given: typeof context) => Promise<void>) =>
            bodies.push(() => body(context)),
          { skip: () => {} },
        ),
      },
      create: () => {
        const inner = memory();
        const capabilities = { ...inner.capabilities, limits: false };
        return {
          open: () =>
            new Proxy(inner, {
              get: (target, name) => {
                if (name === "subscribe") return undefined;
                const member: unknown =
                  name === "capabilities" ? capabilities : Reflect.get(target, name);
                return typeof member === "function" ? member.bind(target) : member;
              },
            }),
        };
      },
    });
    for (const body of bodies) await body();
    expect(new Set(reasons)).toEqual(
      new Set(["capabilities.limits is false", "there is no subscribe"]),
    );
    expect(reasons).toHaveLength(bodies.length);
  });
});
