import { expect, test } from "vitest";
import { runToEnd } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("remembered values", (world) => {
  test("I15, I16: random, now and uuid are the same at every replay", async () => {
    const seen: unknown[] = [];
    const begin = world().clock.now();
    await runToEnd(world(), async (io) => {
      seen.push([await io.random("r"), await io.now("n"), await io.uuid("u")]);
      await io.wait("park", 60);
      seen.push([await io.random("r2"), await io.now("n2"), await io.uuid("u2")]);
    });
    const [first] = seen as [number, Date, string][];
    expect(first?.[0]).toBeGreaterThanOrEqual(0);
    expect(first?.[0]).toBeLessThan(1);
    expect(first?.[1]).toEqual(new Date(begin));
    expect(first?.[2]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    if (world().maxParked === 0) expect(seen[1]).toEqual(first);
    expect((seen.at(-1) as unknown[])[2]).not.toBe(first?.[2]);
  });

  test("I15: bounds as in v2: min inclusive, max exclusive, both inclusive with round", async () => {
    const run = await runToEnd(world(), async (io) => {
      const rounded = new Set<number>();
      for (let index = 0; index < 60; index++)
        rounded.add(await io.random(["r", index], { min: 1, max: 3, round: true }));
      const same = await io.random("same", { min: 5, max: 5 });
      const plain = await io.random("plain", { min: -2, max: -1 });
      const codes: string[] = [];
      for (const [index, options] of [
        { min: 2, max: 1 },
        { min: Number.NaN },
        { mni: 1 },
      ].entries())
        await io.random(["bad", index], options as never).catch((error) => codes.push(error.code));
      return [[...rounded].sort(), same, plain >= -2 && plain < -1, codes];
    });
    expect(run.output).toEqual([
      [1, 2, 3],
      5,
      true,
      ["OPTION_INVALID", "OPTION_INVALID", "OPTION_UNKNOWN"],
    ]);
  });

  test("a codec that fails rejects the call and nothing else", async () => {
    let broken = false;
    const run = await runToEnd(
      world(),
      async (io) => {
        broken = true;
        const message = await io.uuid("u").catch((error: Error) => error.message);
        broken = false;
        return message;
      },
      {
        client: {
          codec: {
            encode: async (value) => {
              if (broken) throw new Error("no key");
              return JSON.stringify(value ?? null);
            },
            decode: (text) => JSON.parse(text),
          },
        },
      },
    );
    expect(run.output).toBe("no key");
  });
});
