import { expect, test } from "vitest";
import { runToEnd, start, takeTurns } from "./drive.js";
import { describeEngine } from "./world.js";

describeEngine("parallel", (world) => {
  test("I9: results in the order of the items, each item a task of its own, waits inside overlap", async () => {
    const begin = world().clock.now();
    let calls = 0;
    const run = await runToEnd(world(), async (io) => {
      const results = await io.parallel("mail", ["a", "b", "c"], async (item, index, inner) => {
        await inner.wait("w", 60 * (3 - index));
        return inner.runTask("send", () => {
          calls++;
          return `${item}${index}`;
        });
      });
      await io.wait("park", 60);
      return results;
    });
    expect(run.output).toEqual(["a0", "b1", "c2"]);
    expect(calls).toBe(3);
    expect(world().clock.now() - begin).toBe(240_000);
    expect(run.tasks?.[0]?.tasks?.map((task) => task.path).sort()).toEqual([
      "mail/0",
      "mail/1",
      "mail/2",
    ]);
  });

  test("I9: no more than `concurrency` items at a time, and every item is reached", async () => {
    let running = 0;
    let most = 0;
    const run = await runToEnd(world(), (io) =>
      io.parallel(
        "work",
        Array.from({ length: 20 }, (_, index) => index),
        async (item) => {
          most = Math.max(most, ++running);
          await takeTurns(1 + (item % 4));
          running--;
          return item;
        },
        { concurrency: 3 },
      ),
    );
    expect(run.output).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(most).toBe(3);
  });

  test("I9: with concurrency, waiting items hold their slots over parks", async () => {
    const begin = world().clock.now();
    const run = await runToEnd(world(), (io) =>
      io.parallel(
        "w",
        [1, 2, 3, 4],
        (item, _index, inner) => inner.wait("w", 60).then(() => item),
        {
          concurrency: 2,
        },
      ),
    );
    expect(run.output).toEqual([1, 2, 3, 4]);
    expect(world().clock.now() - begin).toBe(120_000);
  });

  test("I9: the first error is thrown once all have ended, and replays throw the same one", async () => {
    const ended: number[] = [];
    const seen: string[] = [];
    const run = await runToEnd(world(), async (io) => {
      try {
        await io.parallel("work", [0, 1, 2, 3], async (item, _index, inner) => {
          if (item === 1 || item === 2) {
            await takeTurns(item === 1 ? 5 : 0);
            throw new Error(`item ${item}`);
          }
          await inner.wait("w", 60);
          await inner.runTask("end", () => ended.push(item));
        });
      } catch (error) {
        seen.push(`${(error as Error).message} after ${ended.length}`);
      }
      await io.wait("park", 60);
      return "caught";
    });
    expect(run.output).toBe("caught");
    expect(new Set(seen)).toEqual(new Set(["item 2 after 2"]));
  });

  test("I9: keyBy names the items, so that another order or a new item finds its own record", async () => {
    const calls: string[] = [];
    let items = ["a", "b"];
    const run = await start(world(), async (io) => {
      const results = await io.parallel(
        "all",
        items,
        async (item, _index, inner) => {
          const value = await inner.runTask("make", () => calls.push(item));
          await inner.wait("w", 60);
          return `${item}${value}`;
        },
        { keyBy: (item) => ["item", item] },
      );
      return results;
    });
    await run.drain();
    items = ["c", "b", "a"];
    const ended = await run.finish();
    if (world().maxParked === 0) {
      expect(ended.output).toEqual(["c3", "b2", "a1"]);
      expect(calls).toEqual(["a", "b", "c"]);
    } else {
      expect(ended.output).toEqual(["a1", "b2"]);
    }
  });

  test("I9: no items, a key used for two items, and options that make no sense", async () => {
    const run = await runToEnd(world(), async (io) => {
      const none = await io.parallel("none", [], () => 1);
      const code = (error: { code: string }) => error.code;
      const twice = await io
        .parallel("twice", [1, 2], () => 1, { keyBy: () => "same" })
        .catch(code);
      const zero = await io.parallel("zero", [1], () => 1, { concurrency: 0 }).catch(code);
      const typo = await io.parallel("typo", [1], () => 1, { concurency: 1 } as never).catch(code);
      const odd = await io.parallel("odd", undefined as never, () => 1).catch(code);
      return [none, twice, zero, typo, odd];
    });
    expect(run.output).toEqual([
      [],
      "KEY_DUPLICATE",
      "OPTION_INVALID",
      "OPTION_UNKNOWN",
      "OPTION_INVALID",
    ]);
  });

  test("I9: an item is retried by the job's default, alone", async () => {
    const calls: number[] = [];
    const run = await runToEnd(
      world(),
      (io) =>
        io.parallel("work", [0, 1], (item) => {
          calls.push(item);
          if (item === 1 && calls.filter((each) => each === 1).length === 1)
            throw new Error("once");
          return item;
        }),
      { job: { retry: { limit: 2 } } },
    );
    expect(run.output).toEqual([0, 1]);
    expect(calls).toEqual([0, 1, 1]);
  });
});
