import { createRequire } from "node:module";
import { createClient, eventTrigger, type Io, invokeTrigger, type Run } from "pawl";
import { memory } from "pawl/memory";
import { type SqliteTransaction, sqlite } from "pawl/sqlite";
import { FakeClock } from "pawl/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import type { Connection } from "../../src/storage/sqlite/driver.js";
import { connected, newPath } from "./sqlite-fixture.js";

const transaction = { transaction: true } as const;

/** One run on a file that has a table of the application's. */
async function runOn(
  path: string,
  program: (io: Io<SqliteTransaction>) => unknown,
  codec?: { encode(value: unknown): Promise<string>; decode(text: string): unknown },
): Promise<Run> {
  const client = createClient({
    storage: sqlite({ path, driver: "libsql" }),
    clock: new FakeClock(),
    ...(codec === undefined ? undefined : { codec }),
  });
  onTestFinished(() => client.stop());
  client.on("runFailed", () => {});
  const job = client.defineJob({
    id: "job",
    trigger: invokeTrigger(),
    run: (_, io) => program(io),
  });
  const { id } = await client.invoke(job, undefined);
  await client.drain();
  const run = await client.getRun(id, { tasks: true });
  if (run === undefined) throw new Error("the run is gone");
  return run;
}

function shop(): { readonly path: string; readonly file: Connection; orders(): unknown[] } {
  const path = newPath();
  const file = connected(path);
  file.exec("create table customers (id text primary key)");
  file.exec(
    "create table orders (id text primary key, customer text references customers deferrable initially deferred)",
  );
  return {
    path,
    file,
    orders: () => file.prepare("select id from orders order by id").all([]).flat(),
  };
}

function insert(tx: SqliteTransaction, id: string, customer: string | null = null): void {
  tx.prepare("insert into orders (id, customer) values (?, ?)").run(id, customer);
}

describe("transactional tasks on SQLite", () => {
  test("G9: the callback writes its tables in the same file, together with the record", async () => {
    const { path, orders } = shop();
    const run = await runOn(path, async (io) => {
      const first = await io.runTask(
        "book",
        (task, _io, tx) => {
          insert(tx, "a");
          insert(tx, "b");
          return task.idempotencyKey.length > 0;
        },
        transaction,
      );
      return { first, second: await io.runTask("plain", () => 2) };
    });
    expect(run).toMatchObject({ status: "COMPLETED", output: { first: true, second: 2 } });
    expect(orders()).toEqual(["a", "b"]);
  });

  test("a callback that throws leaves nothing, whatever it threw", async () => {
    const { path, orders } = shop();
    const run = await runOn(path, async (io) => {
      await io.runTask("first", (_task, _io, tx) => insert(tx, "a"), transaction);
      await io.runTask(
        "second",
        (_task, _io, tx) => {
          insert(tx, "b");
          insert(tx, "a");
        },
        transaction,
      );
    });
    expect(run).toMatchObject({
      status: "FAILED",
      tasks: [{ status: "COMPLETED" }, { key: "second", status: "FAILED" }],
      error: { message: expect.stringContaining("UNIQUE constraint failed") },
    });
    expect(orders()).toEqual(["a"]);
  });

  test("what is asynchronous is refused, and an async callback is not even called", async () => {
    const { path, orders } = shop();
    let calls = 0;
    for (const callback of [
      async (_task: unknown, _io: unknown, tx: SqliteTransaction) => {
        calls++;
        insert(tx, "async");
      },
      (_task: unknown, _io: unknown, tx: SqliteTransaction) => {
        insert(tx, "promise");
        return Promise.reject(new Error("nobody hears of this"));
      },
    ]) {
      const run = await runOn(path, (io) =>
        io.runTask<unknown>("book", callback, { ...transaction, retry: { limit: 3 } }),
      );
      expect(run).toMatchObject({ status: "FAILED", error: { code: "TRANSACTION_ASYNC" } });
      expect(run.error?.message).toContain("The callback of task");
    }
    expect(calls).toBe(0);
    expect(orders()).toEqual([]);
  });

  test("so is a codec that is", async () => {
    const { path, orders } = shop();
    const codec = {
      encode: async (value: unknown) => JSON.stringify(value ?? null),
      decode: (text: string) => JSON.parse(text) as unknown,
    };
    const run = await runOn(
      path,
      (io) => io.runTask("book", (_task, _io, tx) => insert(tx, "a"), transaction),
      codec,
    );
    expect(run).toMatchObject({ status: "FAILED", error: { code: "TRANSACTION_ASYNC" } });
    expect(run.error?.message).toContain("The codec of task");
    expect(orders()).toEqual([]);
  });

  test.each([["commit"], ["rollback"]])(
    "a callback that ends the transaction by itself (%s) is told so",
    async (statement) => {
      const { path } = shop();
      const run = await runOn(path, async (io) => {
        const ended = io.runTask(
          "book",
          (_task, _io, tx) => {
            insert(tx, "a");
            tx.exec(statement);
          },
          transaction,
        );
        const error = await ended.catch((thrown: unknown) => thrown);
        return [(error as { code: string }).code, await io.runTask("next", () => "works")];
      });
      expect(run).toMatchObject({ status: "COMPLETED", output: ["TRANSACTION_FAILED", "works"] });
    },
  );

  test("what SQLite refuses at the commit is the task's failure", async () => {
    const { path, orders } = shop();
    const run = await runOn(path, (io) =>
      io.runTask(
        "book",
        (_task, _io, tx) => {
          tx.exec("pragma defer_foreign_keys = on");
          insert(tx, "a", "nobody");
        },
        transaction,
      ),
    );
    expect(run).toMatchObject({ status: "FAILED", error: { code: "TRANSACTION_FAILED" } });
    expect(orders()).toEqual([]);
  });

  test("a statement that a callback leaves open does not keep the adapter from going on", async () => {
    const { path, orders } = shop();
    const run = await runOn(path, async (io) => {
      await io.runTask("first", (_task, _io, tx) => insert(tx, "a"), transaction);
      await io
        .runTask(
          "second",
          (_task, _io, tx) => {
            insert(tx, "b");
            const rows = tx.prepare("select id from orders") as unknown as {
              iterate(): Iterator<unknown>;
            };
            rows.iterate().next();
            throw new Error("left open");
          },
          transaction,
        )
        .catch(() => {});
      await io.runTask("third", (_task, _io, tx) => insert(tx, "c"), transaction);
    });
    expect(run.status).toBe("COMPLETED");
    expect(orders()).toEqual(["a", "c"]);
  });

  test("a connection that cannot roll back is given up, and what was written on it is gone", async () => {
    const { path, orders } = shop();
    const Libsql = createRequire(import.meta.url)("libsql") as new (
      path: string,
    ) => SqliteTransaction;
    let opened = 0;
    let failing = 0;
    class Stubborn extends Libsql {
      constructor(file: string) {
        super(file);
        opened++;
      }
      override exec(sql: string): unknown {
        if (sql === "rollback" && failing-- > 0)
          throw new TypeError("This database connection is busy executing a query");
        return super.exec(sql);
      }
    }
    const storage = sqlite({ path, driver: Stubborn });
    onTestFinished(() => storage.close());
    await storage.init({ clock: new FakeClock() });
    const insertOne = (id: string, fails: boolean) =>
      storage.commitWith?.((tx) => {
        insert(tx, id);
        if (fails) throw new Error("no");
        return { runId: "nobody", writeId: "w", guard: { epoch: 1 }, tasks: [] };
      });
    failing = 1;
    await expect(insertOne("a", true)).rejects.toThrow("no");
    expect(await insertOne("b", false)).toMatchObject({ result: "missing" });
    expect(opened).toBe(2);
    expect(orders()).toEqual([]);
  });

  test("a callback that throws is not called again for the sake of those beside it", async () => {
    const { path } = shop();
    const storage = sqlite({ path, driver: "libsql" });
    onTestFinished(() => storage.close());
    await storage.init({ clock: new FakeClock() });
    let calls = 0;
    const failing = storage.commitWith?.(() => {
      calls++;
      throw new Error("no");
    });
    const values = ["a", "b", "c"].map((key) => storage.setValue(key, "1"));
    await expect(failing).rejects.toThrow("no");
    expect(await Promise.all(values)).toHaveLength(3);
    const before = storage.setValue("d", "1");
    const again = storage.commitWith?.(() => {
      calls++;
      throw new Error("no");
    });
    await expect(again).rejects.toThrow("no");
    expect(await before).toMatchObject({ ok: true });
    expect(calls).toBe(2);
  });

  test("many at a time, with other tasks beside them, are each whole", async () => {
    const { path, orders } = shop();
    const client = createClient({ storage: sqlite({ path, driver: "libsql" }) });
    onTestFinished(() => client.stop());
    const job = client.defineJob({
      id: "job",
      trigger: invokeTrigger(),
      run: async (_, io, { run }) => {
        await Promise.all([
          io.runTask("plain", () => 1),
          io.runTask("book", (_task, _io, tx) => insert(tx, run.id), transaction),
        ]);
      },
    });
    const ids = await Promise.all(
      Array.from({ length: 30 }, async () => (await client.invoke(job, undefined)).id),
    );
    await client.drain();
    expect(orders()).toEqual(ids.sort());
  });
});

describe("client.withTransaction on SQLite", () => {
  function started(path: string, program: (io: Io<SqliteTransaction>) => unknown) {
    const client = createClient({
      storage: sqlite({ path, driver: "libsql" }),
      clock: new FakeClock(),
    });
    onTestFinished(() => client.stop());
    client.on("runFailed", () => {});
    const children: unknown[] = [];
    client.defineJob({
      id: "child",
      trigger: invokeTrigger({ schema: z.object({ n: z.number() }) }),
      run: (payload) => void children.push(payload),
    });
    client.defineJob({
      id: "hears",
      trigger: eventTrigger({ name: "ordered" }),
      run: (payload) => void children.push(payload),
    });
    client.defineJob({ id: "job", trigger: invokeTrigger(), run: (_, io) => program(io) });
    return { client, children };
  }

  test("what a task starts goes with its rows, and is executed at once", async () => {
    const { path, orders } = shop();
    let see = () => {};
    const seen = new Promise<void>((resolve) => {
      see = resolve;
    });
    const { client, children } = started(path, async (io) => {
      for (const fails of [true, false]) {
        const booked = io.runTask(
          `book ${fails}`,
          (_task, _io, tx) => {
            insert(tx, `a ${fails}`);
            const inside = client.withTransaction(tx);
            void inside.invoke("child", { n: 1 });
            void inside.sendEvent({ name: "ordered", payload: { n: 2 } });
            if (fails) throw new Error("no");
          },
          transaction,
        );
        await booked.catch(() => {});
      }
      await io.runTask("long", () => seen);
    });
    await client.start();
    await client.invoke("job", undefined);
    // No time passes, so no poll finds them, and the run that started them goes on.
    await expect.poll(() => children).toEqual([{ n: 1 }, { n: 2 }]);
    see();
    expect(orders()).toEqual(["a false"]);
  });

  test("a bad payload is thrown at once, so it rolls back", async () => {
    const { path, orders } = shop();
    const { client, children } = started(path, (io) =>
      io.runTask(
        "book",
        (_task, _io, tx) => {
          insert(tx, "a");
          void client.withTransaction(tx).invoke("child", { n: "one" });
        },
        transaction,
      ),
    );
    const { id } = await client.invoke("job", undefined);
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ error: { code: "PAYLOAD_INVALID" } });
    expect(orders()).toEqual([]);
    expect(children).toEqual([]);
  });

  test("so is what it would have to wait for", async () => {
    const { path } = shop();
    const { client } = started(path, (io) =>
      io.runTask(
        "book",
        (_task, _io, tx) => void client.withTransaction(tx).invoke("unknown", 1),
        transaction,
      ),
    );
    const { id } = await client.invoke("job", undefined);
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ error: { code: "TRANSACTION_ASYNC" } });
  });

  test("outside of such a task, or with another handle, it is refused", async () => {
    const { path } = shop();
    let left: SqliteTransaction | undefined;
    const { client } = started(path, async (io) => {
      await io.runTask(
        "book",
        (_task, _io, tx) => {
          left = tx;
        },
        transaction,
      );
      try {
        return client.withTransaction({} as SqliteTransaction);
      } catch (error) {
        return (error as { code: string }).code;
      }
    });
    const { id } = await client.invoke("job", undefined);
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ output: "KEY_REQUIRED" });
    for (const tx of [left, {}] as SqliteTransaction[])
      expect(() => client.withTransaction(tx).invoke("child", { n: 1 })).toThrow(
        expect.objectContaining({ code: "TRANSACTION_NOT_OPEN" }),
      );
  });

  test("a storage without transactions says so at once", () => {
    const client = createClient({ storage: memory(), clock: new FakeClock() });
    expect(() => client.withTransaction({})).toThrow(
      expect.objectContaining({ code: "TRANSACTION_UNSUPPORTED" }),
    );
  });
});
