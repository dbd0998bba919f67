import type { Io } from "pawl";
import { describe, expect, test } from "vitest";
import { memory } from "../../src/storage/memory/index.js";
import { gate, jobOf, Machine, runToEnd, start, turns } from "./drive.js";
import { passingTime } from "./support.js";
import { Database, type Rows } from "./transaction-double.js";
import { describeEngine, type World } from "./world.js";
// Loaded by the engine at its first failure: that takes real time, in which no turns are counted.
import "p-retry";

const transaction = { transaction: true } as const;

function on(world: World, database: Database) {
  return { client: { storage: database.on(world.storage()) } };
}

function book(io: Io, callback: (rows: Rows) => unknown, options = {}, key = "book") {
  return (io as Io<Rows>).runTask<unknown>(key, (_task, _io, rows) => callback(rows), {
    ...transaction,
    ...options,
  });
}

describeEngine("transactional tasks", (world) => {
  test("G9: what the callback writes is committed with the record, and a replay does not call it again", async () => {
    const database = new Database();
    const run = await runToEnd(
      world(),
      async (io) => {
        const output = await book(io, (rows) => {
          rows.insert("a");
          return { n: 1, at: new Date(0) };
        });
        await io.wait("park", 60);
        return output;
      },
      on(world(), database),
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: { n: 1, at: new Date(0) } });
    expect(database.rows).toEqual(["a"]);
  });

  test("a callback that throws leaves nothing, and the next attempt is made as for any task", async () => {
    const database = new Database();
    const attempts: number[] = [];
    const run = await runToEnd(
      world(),
      (io) =>
        (io as Io<Rows>).runTask(
          "book",
          async (task, _io, rows) => {
            attempts.push(task.attempt);
            rows.insert(`attempt ${task.attempt}`);
            if (task.attempt < 3) throw new Error(`no ${task.attempt}`);
            return task.attempt;
          },
          { ...transaction, retry: { limit: 3 } },
        ),
      on(world(), database),
    );
    expect(run).toMatchObject({
      status: "COMPLETED",
      output: 3,
      tasks: [{ attempts: [{ number: 1 }, { number: 2 }, { number: 3 }] }],
    });
    expect(database.rows).toEqual(["attempt 3"]);
    expect(attempts).toEqual([1, 2, 3]);
  });

  test("an output that cannot be stored rolls back, and fails the task", async () => {
    const database = new Database();
    const run = await runToEnd(
      world(),
      (io) =>
        book(io, (rows) => {
          rows.insert("a");
          return { f: () => 1 } as unknown;
        }),
      on(world(), database),
    );
    expect(run).toMatchObject({ status: "FAILED", error: { code: "VALUE_NOT_SERIALIZABLE" } });
    expect(database.rows).toEqual([]);
  });

  test("G9: a worker that lost the run meanwhile leaves no rows, and its successor's are there once", async () => {
    const database = new Database();
    const asleep = gate();
    let calls = 0;
    const job = jobOf((io) =>
      book(io, async (rows) => {
        calls++;
        const name = `call ${calls}`;
        rows.insert(name);
        if (calls === 1) await asleep.opened;
        return name;
      }),
    );
    const machine = new Machine(world(), { jobs: [job] }, (storage) => database.on(storage));
    const { id } = await machine.client.invoke(job, {});
    void machine.client.drain();
    await expect.poll(() => calls).toBe(1);
    machine.freeze();
    world().clock.advance("31s");
    const survivor = world().client({ jobs: [job], ...on(world(), database).client });
    await survivor.drain();
    asleep.open();
    await turns();
    machine.thaw();
    await turns();
    expect(await survivor.getRun(id)).toMatchObject({ status: "COMPLETED", output: "call 2" });
    expect(database.rows).toEqual(["call 2"]);
    await machine.client.stop({ timeout: 0 });
  });

  test("E17: other records of the run wait for it, and settle in the order of their seqs, also in a replay", async () => {
    const database = new Database();
    const inside = gate();
    const mayEnd = gate();
    const orders: string[][] = [];
    const started = await start(
      world(),
      async (io) => {
        const order: string[] = [];
        orders.push(order);
        const note = (name: string) => () => order.push(name);
        const other = inside.opened.then(() => io.runTask("other", () => 1).then(note("other")));
        await Promise.all([
          book(io, async (rows) => {
            rows.insert("a");
            inside.open();
            await mayEnd.opened;
          }).then(note("book")),
          other,
        ]);
        await io.wait("park", 60);
      },
      on(world(), database),
    );
    const draining = started.client.drain();
    await inside.opened;
    await turns();
    expect((await started.read()).tasks).toEqual([]);
    mayEnd.open();
    await draining;
    await started.finish();
    expect(orders[0]).toEqual(["book", "other"]);
    for (const order of orders) expect(order).toEqual(orders[0]);
  });

  test("the lease is extended while the callback runs", async () => {
    const database = new Database();
    const mayEnd = gate();
    const started = await start(
      world(),
      (io) => book(io, () => mayEnd.opened),
      on(world(), database),
    );
    const storage = world().storage();
    await storage.init({ clock: world().clock });
    const draining = started.client.drain();
    await turns();
    const [before] = await storage.getRuns([started.id]);
    for (let step = 0; step < 10; step++) {
      world().clock.advance("6s");
      await turns(5);
    }
    const [after] = await storage.getRuns([started.id]);
    expect(after?.epoch).toBe(before?.epoch);
    expect(after?.leaseUntil).toBeGreaterThan(world().clock.now());
    mayEnd.open();
    await draining;
    expect(await started.read()).toMatchObject({ status: "COMPLETED", executionCount: 1 });
    await storage.close();
  });

  test("G9: a lost answer after the commit does not call the callback again", async () => {
    const database = new Database();
    database.faults = ["lost after"];
    let calls = 0;
    const running = start(
      world(),
      (io) =>
        book(io, (rows) => {
          rows.insert("a");
          return ++calls;
        }),
      on(world(), database),
    );
    const run = await passingTime(
      world().clock,
      running.then((started) => started.drain()),
    );
    expect(run).toMatchObject({
      status: "COMPLETED",
      output: 1,
      tasks: [{ attempts: [{ number: 1 }] }],
    });
    expect(calls).toBe(1);
    expect(database.rows).toEqual(["a"]);
  });

  test("E18: a connection that is lost before the commit calls it again, and is no failed attempt", async () => {
    const database = new Database();
    database.faults = ["lost before", "lost before"];
    const attempts: number[] = [];
    const running = start(
      world(),
      (io) =>
        (io as Io<Rows>).runTask(
          "book",
          (task, _io, rows) => {
            attempts.push(task.attempt);
            rows.insert("a");
            return attempts.length;
          },
          transaction,
        ),
      on(world(), database),
    );
    const run = await passingTime(
      world().clock,
      running.then((started) => started.drain()),
    );
    expect(run).toMatchObject({
      status: "COMPLETED",
      output: 3,
      tasks: [{ attempts: [{ number: 1 }] }],
    });
    expect(attempts).toEqual([1, 1, 1]);
    expect(database.rows).toEqual(["a"]);
    expect(world().troubles).toHaveLength(2);
  });

  test("a commit that fails again and again while the storage answers is the task's failure", async () => {
    const database = new Database();
    database.faults = ["constraint", "constraint", "constraint"];
    const running = start(
      world(),
      (io) => book(io, (rows) => rows.insert("a")),
      on(world(), database),
    );
    const run = await passingTime(
      world().clock,
      running.then((started) => started.drain()),
    );
    expect(run).toMatchObject({
      status: "FAILED",
      error: { code: "TRANSACTION_FAILED", cause: { message: "violates a constraint" } },
    });
    expect(database.rows).toEqual([]);
  });

  test("io calls inside are refused", async () => {
    const database = new Database();
    const run = await runToEnd(
      world(),
      (io) =>
        (io as Io<Rows>).runTask(
          "book",
          async (_task, inner, rows) => {
            rows.insert("a");
            await inner.wait("inner", 1);
          },
          transaction,
        ),
      on(world(), database),
    );
    expect(run).toMatchObject({ status: "FAILED", error: { code: "NESTED_CALL_FORBIDDEN" } });
    expect(database.rows).toEqual([]);
  });

  test("after a timeout the attempt has failed, and what the callback does later is rolled back", async () => {
    const database = new Database();
    const late = gate();
    let calls = 0;
    const started = await start(
      world(),
      (io) =>
        book(
          io,
          async (rows) => {
            calls++;
            rows.insert(`call ${calls}`);
            if (calls === 1) await late.opened;
          },
          { timeout: "5s", retry: { limit: 2 } },
        ),
      on(world(), database),
    );
    const draining = started.client.drain();
    await expect.poll(() => calls).toBe(1);
    world().clock.advance("5s");
    await draining;
    const run = await started.finish();
    late.open();
    await turns();
    expect(run).toMatchObject({
      status: "COMPLETED",
      tasks: [{ attempts: [{ number: 1 }, { number: 2 }] }],
    });
    expect(database.rows).toEqual(["call 2"]);
  });

  test("other branches wait while it runs, so it wins, in a replay as well", async () => {
    const database = new Database();
    const inside = gate();
    const never = gate();
    const started = await start(
      world(),
      async (io) => {
        const { name } = await io.waitForAny("first", {
          slow: (inner) =>
            book(inner, async (rows) => {
              rows.insert("slow");
              inside.open();
              await never.opened;
            }),
          quick: (inner) => inner.wait("quick", 1),
        });
        return name;
      },
      on(world(), database),
    );
    const draining = started.client.drain();
    await inside.opened;
    for (let step = 0; step < 30; step++) {
      await turns(1);
      world().clock.advance("1s");
    }
    await turns();
    expect(await started.read()).toMatchObject({ status: "EXECUTING" });
    never.open();
    await draining;
    expect(await started.finish()).toMatchObject({ status: "COMPLETED", output: "slow" });
    expect(database.rows).toEqual(["slow"]);
  });

  test("of a parent that is tried again only the later one leaves rows", async () => {
    const database = new Database();
    const late = gate();
    let calls = 0;
    const started = await start(
      world(),
      (io) =>
        io.runTask<unknown>(
          "outer",
          (_task, inner) =>
            book(inner, async (rows) => {
              const name = `call ${++calls}`;
              rows.insert(name);
              if (calls === 1) await late.opened;
              return name;
            }),
          { timeout: "5s", retry: { limit: 2 } },
        ),
      on(world(), database),
    );
    const draining = started.client.drain();
    await expect.poll(() => calls).toBe(1);
    world().clock.advance("5s");
    await draining;
    // The run is parked until the next attempt, or waits for it: either way the first one is late.
    late.open();
    await turns();
    expect(database.rows).toEqual([]);
    expect(await started.finish()).toMatchObject({ status: "COMPLETED", output: "call 2" });
    expect(database.rows).toEqual(["call 2"]);
  });

  test("a run that ends without waiting for it rolls it back", async () => {
    const database = new Database();
    const inside = gate();
    const mayEnd = gate();
    const started = await start(
      world(),
      async (io) => {
        void book(io, async (rows) => {
          rows.insert("a");
          inside.open();
          await mayEnd.opened;
        });
        await inside.opened;
        return "done";
      },
      on(world(), database),
    );
    expect(await started.drain()).toMatchObject({ status: "COMPLETED", output: "done" });
    mayEnd.open();
    await turns();
    expect(database.rows).toEqual([]);
  });

  test("stop waits for a callback, which is committed; one that is cut off is rolled back", async () => {
    for (const timeout of ["10s", 0] as const) {
      const database = new Database();
      const inside = gate();
      const mayEnd = gate();
      const started = await start(
        world(),
        (io) =>
          book(io, async (rows) => {
            rows.insert("a");
            inside.open();
            await mayEnd.opened;
            return timeout;
          }),
        { ...on(world(), database), job: { id: `job-${timeout}` } },
      );
      void started.client.drain();
      await inside.opened;
      const stopping = started.client.stop({ timeout });
      if (timeout === 0) await passingTime(world().clock, stopping);
      mayEnd.open();
      await stopping;
      await turns();
      expect(database.rows).toEqual(timeout === 0 ? [] : ["a"]);
    }
  });

  test("two in one run come one after the other", async () => {
    const database = new Database();
    let open = 0;
    let most = 0;
    const run = await runToEnd(
      world(),
      (io) =>
        Promise.all(
          ["a", "b", "c"].map((key) =>
            book(
              io,
              async (rows) => {
                most = Math.max(most, ++open);
                await turns(3);
                rows.insert(key);
                open--;
                return key;
              },
              {},
              key,
            ),
          ),
        ),
      on(world(), database),
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: ["a", "b", "c"] });
    expect(most).toBe(1);
    expect(database.rows).toEqual(["a", "b", "c"]);
  });

  test("a record that the storage refuses leaves no rows, and parks the run", async () => {
    const database = new Database();
    const rejected = { result: "rejected", epoch: 1, status: "EXECUTING", inbox: 0 } as const;
    database.answers = [{ ...rejected, leaseUntil: null, reason: "no room" }];
    const started = await start(
      world(),
      (io) => book(io, (rows) => rows.insert("a")),
      on(world(), database),
    );
    started.client.on("runBlocked", () => {});
    const draining = started.drain();
    await passingTime(world().clock, draining);
    expect(await started.read()).toMatchObject({ status: "WAITING" });
    expect(database.rows).toEqual([]);
    expect(await started.finish()).toMatchObject({ status: "COMPLETED" });
    expect(database.rows).toEqual(["a"]);
  });

  test("with at-most-once, or something else than true, it is refused", async () => {
    const database = new Database();
    for (const options of [{ mode: "at-most-once" }, { transaction: "yes" }]) {
      const run = await runToEnd(world(), (io) => book(io, (rows) => rows.insert("a"), options), {
        ...on(world(), database),
        job: { id: `job-${Object.keys(options)}` },
      });
      expect(run).toMatchObject({ status: "FAILED", error: { code: "OPTION_INVALID" } });
    }
  });
});

describe("transactional tasks without transactions", () => {
  test("a storage that has none is told of when the task is met", async () => {
    const { testJob } = await import("pawl/testing");
    const job = jobOf((io) => io.runTask("book", () => 1, transaction));
    expect(memory().commitWith).toBeUndefined();
    await expect(testJob(job)).resolves.toMatchObject({
      status: "FAILED",
      error: { code: "TRANSACTION_UNSUPPORTED" },
    });
    await expect(testJob(job, { mocks: { book: 2 } })).resolves.toMatchObject({
      status: "COMPLETED",
      output: 2,
    });
  });
});
