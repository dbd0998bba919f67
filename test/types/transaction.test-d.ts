import { createClient, defineJob, type Io, invokeTrigger, type Storage } from "pawl";
import { memory } from "pawl/memory";
import { type SqliteTransaction, sqlite } from "pawl/sqlite";
import { describe, expectTypeOf, test } from "vitest";

interface Orders {
  insert(id: string): Promise<number>;
}

declare const storage: Storage<Orders>;

describe("transactions", () => {
  test("a job of a client sees what its storage hands out", () => {
    createClient({ storage }).defineJob({
      id: "order",
      trigger: invokeTrigger(),
      run: async (_, io) => {
        const rows = await io.runTask("book", (_task, _io, tx) => tx.insert("a"), {
          transaction: true,
        });
        expectTypeOf(rows).toEqualTypeOf<number>();
        await io.runTask(
          "other",
          (_task, _io, tx) => {
            // @ts-expect-error: no such method
            tx.remove("a");
          },
          { transaction: true },
        );
      },
    });
  });

  test("so do branches and items of that job", () => {
    createClient({ storage }).defineJob({
      id: "order",
      trigger: invokeTrigger(),
      run: async (_, io) => {
        await io.parallel("items", ["a"], (id, _index, inner) =>
          inner.runTask("book", (_task, _io, tx) => tx.insert(id), { transaction: true }),
        );
        await io.waitForAny("first", {
          book: (inner) =>
            inner.runTask("book", (_task, _io, tx) => tx.insert("a"), { transaction: true }),
        });
      },
    });
  });

  test("only a task with transaction: true is handed one", () => {
    createClient({ storage }).defineJob({
      id: "order",
      trigger: invokeTrigger(),
      run: async (_, io) => {
        // @ts-expect-error: the callback of a plain task has no third argument
        await io.runTask("book", (_task, _io, tx) => tx.insert("a"));
        await io.runTask("plain", () => 1);
        // @ts-expect-error: transaction is true or left out
        await io.runTask("odd", (_task, _io, tx: Orders) => tx.insert("a"), { transaction: 1 });
      },
    });
  });

  test("a job without a client sees unknown", () => {
    defineJob({
      id: "order",
      trigger: invokeTrigger(),
      run: async (_, io) => {
        await io.runTask(
          "book",
          (_task, _io, tx) => {
            expectTypeOf(tx).toEqualTypeOf<unknown>();
            // @ts-expect-error: unknown has to be narrowed first
            tx.insert("a");
          },
          { transaction: true },
        );
      },
    });
  });

  test("on SQLite it is what all drivers have, or what the given one has", () => {
    expectTypeOf(sqlite("a.db")).toEqualTypeOf<Storage<SqliteTransaction>>();
    class Database {
      pragma(_text: string): unknown {
        return undefined;
      }
      exec(_sql: string): this {
        return this;
      }
      prepare(_sql: string) {
        return { run: (..._values: unknown[]) => 1, get: () => 1, all: () => [1] };
      }
    }
    const storage = sqlite({ path: "a.db", driver: Database });
    expectTypeOf(storage).toEqualTypeOf<Storage<Database>>();
    // @ts-expect-error: a class that is no database
    sqlite({ path: "a.db", driver: Date, durability: "none" });
  });

  test("so does a client on a storage without transactions", () => {
    createClient({ storage: memory() }).defineJob({
      id: "order",
      trigger: invokeTrigger(),
      run: async (_, io) => {
        await io.runTask("a", (_task, _io, tx) => expectTypeOf(tx).toEqualTypeOf<unknown>(), {
          transaction: true,
        });
      },
    });
  });

  test("a function that takes any io takes this one, and any job is attached", () => {
    const helper = (io: Io) => io.wait("pause", "1s");
    const job = defineJob({ id: "free", trigger: invokeTrigger(), run: () => 1 });
    const client = createClient({ storage, jobs: [job] });
    client.defineJob({
      id: "order",
      trigger: invokeTrigger(),
      run: async (_, io) => helper(io),
    });
  });
});
