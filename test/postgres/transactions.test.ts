import type { Storage } from "pawl";
import { type PostgresTransactions, postgres } from "pawl/postgres";
import type pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Shop, transaction } from "./transaction-shop.js";

let shop: Shop;

beforeEach(async () => {
  shop = await new Shop().open();
});

afterEach(() => shop.close());

/** Opened by a test, step by step. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** Transactions of pg by hand, in which a test can come between any two steps. */
function steps(
  pool: pg.Pool,
  between: {
    readonly beforeCommit?: (client: pg.PoolClient) => unknown;
    readonly afterCommit?: (client: pg.PoolClient) => unknown;
  },
): PostgresTransactions<pg.PoolClient> {
  return {
    async begin(work: (tx: pg.PoolClient) => Promise<void>) {
      const client = await pool.connect();
      client.on("error", () => {});
      let failure: Error | undefined;
      try {
        await client.query("begin");
        await work(client);
        await between.beforeCommit?.(client);
        await client.query("commit");
        await between.afterCommit?.(client);
      } catch (error) {
        failure = error as Error;
        await client.query("rollback").catch(() => {});
        throw error;
      } finally {
        client.release(failure);
      }
    },
    query: async (tx, text, values) =>
      (await tx.query({ text, values, rowMode: "array" })).rows as unknown[][],
  };
}

async function killBackend(client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query("select pg_backend_pid() as pid");
  await shop.query("select pg_terminate_backend($1)", [rows[0].pid]);
}

describe("transactional tasks on PostgreSQL", () => {
  const onPool = (): Storage<pg.PoolClient> =>
    postgres({ client: shop.pool(), schema: shop.schema });

  test("G9: rows and record are committed together", async () => {
    const run = await shop.run(onPool(), (io) =>
      io.runTask(
        "book",
        async (_task, _io, tx) => {
          await tx.query(shop.insert("a"));
          await tx.query(shop.insert("b"));
          return 2;
        },
        transaction,
      ),
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(await shop.orders()).toEqual(["a", "b"]);
  });

  test("a throw rolls back, and the next attempt replaces the record of the one before", async () => {
    const { client, job } = shop.client(onPool(), (io) =>
      io.runTask(
        "book",
        async ({ attempt }, _io, tx) => {
          await tx.query(shop.insert(`attempt ${attempt}`));
          if (attempt === 1) throw new Error("no");
          return attempt;
        },
        { ...transaction, retry: { limit: 2, minTimeoutInMs: 1, randomize: false } },
      ),
    );
    const handle = await client.invoke(job, undefined);
    await client.start();
    const run = await client.waitForRun(handle, { timeout: "20s" });
    expect(run).toMatchObject({ status: "COMPLETED", output: 2 });
    expect(await shop.orders()).toEqual(["attempt 2"]);
  });

  test("G9: a zombie whose lease is over rolls back: its successor's rows are the only ones", async () => {
    const asleep = gate();
    const inside = gate();
    // The zombie cannot extend its lease: for its process everything but this transaction stands still.
    const stuck = (storage: Storage<pg.PoolClient>) =>
      new Proxy(storage, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name);
          if (typeof member !== "function") return member;
          const isDead = () => isStuck && name !== "commitWith";
          return (...args: unknown[]) =>
            isDead() ? new Promise(() => {}) : Reflect.apply(member, target, args);
        },
      });
    let isStuck = false;
    const program =
      (name: string) =>
      async (io: Parameters<Parameters<typeof shop.client<pg.PoolClient>>[1]>[0]) =>
        io.runTask(
          "book",
          async (_task, _io, tx) => {
            await tx.query(shop.insert(name));
            if (name === "zombie") {
              isStuck = true;
              inside.open();
              await asleep.opened;
            }
            return name;
          },
          transaction,
        );
    const results: string[] = [];
    const watched = (storage: Storage<pg.PoolClient>) => {
      const commitWith = storage.commitWith?.bind(storage);
      storage.commitWith = async (work) => {
        const answer = await commitWith?.(work);
        if (answer === undefined) throw new Error("no transactions");
        results.push(answer.result);
        return answer;
      };
      return storage;
    };
    const zombie = shop.client(stuck(watched(onPool())), program("zombie"), { leaseMs: 300 });
    const handle = await zombie.client.invoke(zombie.job, undefined);
    void zombie.client.drain();
    await inside.opened;
    const survivor = shop.client(onPool(), program("survivor"), { leaseMs: 300 });
    await survivor.client.start();
    const run = await survivor.client.waitForRun(handle, { timeout: "20s" });
    asleep.open();
    await expect.poll(() => results).toEqual(["final"]);
    expect(run).toMatchObject({ status: "COMPLETED", output: "survivor", executionCount: 2 });
    expect(await shop.orders()).toEqual(["survivor"]);
    isStuck = false;
  });

  test("S2: no change of holder comes between the last statement and the commit", async () => {
    const recorded = gate();
    const mayCommit = gate();
    const pool = shop.pool();
    const transactions = steps(pool, {
      beforeCommit: async () => {
        recorded.open();
        await mayCommit.opened;
      },
    });
    const storage = postgres({ client: shop.pool(), schema: shop.schema, transactions });
    const { client, job } = shop.client(storage, (io) =>
      io.runTask("book", async (_task, _io, tx) => void (await tx.query(shop.insert("a"))), {
        transaction: true,
      }),
    );
    const { id } = await client.invoke(job, undefined);
    const draining = client.drain();
    await recorded.opened;
    const change = shop.query(
      `select 1 from "${shop.schema}".runs where id = $1 for no key update nowait`,
      [id],
    );
    await expect(change).rejects.toMatchObject({ code: "55P03" });
    const canceling = client.cancelRun(id);
    mayCommit.open();
    await draining;
    await canceling;
    const run = await client.getRun(id, { tasks: true });
    expect(run).toMatchObject({ tasks: [{ status: "COMPLETED" }] });
    expect(await shop.orders()).toEqual(["a"]);
  });

  test("a cancel that comes while the callback runs rolls it back", async () => {
    const inside = gate();
    const mayEnd = gate();
    const { client, job } = shop.client(onPool(), (io) =>
      io.runTask(
        "book",
        async (_task, _io, tx) => {
          await tx.query(shop.insert("a"));
          inside.open();
          await mayEnd.opened;
        },
        transaction,
      ),
    );
    const { id } = await client.invoke(job, undefined);
    const draining = client.drain();
    await inside.opened;
    await client.cancelRun(id);
    mayEnd.open();
    await draining;
    expect(await client.getRun(id)).toMatchObject({ status: "CANCELED" });
    expect(await shop.orders()).toEqual([]);
  });

  test("G9: a connection that ends between the user's write and the commit: the callback runs again, its rows are there once", async () => {
    let calls = 0;
    const kills = [killBackend];
    const transactions = steps(shop.pool(), {
      beforeCommit: (client) => kills.pop()?.(client),
    });
    const storage = postgres({ client: shop.pool(), schema: shop.schema, transactions });
    const run = await shop.run(storage, (io) =>
      io.runTask(
        "book",
        async ({ attempt }, _io, tx) => {
          await tx.query(shop.insert("a"));
          return [attempt, ++calls];
        },
        transaction,
      ),
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: [1, 2] });
    expect(await shop.orders()).toEqual(["a"]);
  });

  test("G9: a lost answer after COMMIT: the record is found, and the callback does not run again", async () => {
    let calls = 0;
    const kills = [killBackend];
    const transactions = steps(shop.pool(), {
      afterCommit: async (client) => {
        const kill = kills.pop();
        if (kill === undefined) return;
        await kill(client);
        // What the client makes of it: the answer to commit never came.
        await client.query("select 1");
      },
    });
    const storage = postgres({ client: shop.pool(), schema: shop.schema, transactions });
    const { client, job, troubles } = shop.client(storage, async (io) => [
      await io.runTask(
        "book",
        async (_task, _io, tx) => {
          await tx.query(shop.insert("a"));
          return ++calls;
        },
        transaction,
      ),
      await io.runTask("next", () => "on"),
    ]);
    const { id } = await client.invoke(job, undefined);
    await client.drain();
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: [1, "on"] });
    expect(calls).toBe(1);
    expect(troubles).toHaveLength(1);
    expect(await shop.orders()).toEqual(["a"]);
  });

  test("a commit that is still under way when its answer is given up is waited for", async () => {
    let calls = 0;
    const mayCommit = gate();
    const gaveUp = gate();
    const pool = shop.pool();
    const inner = steps(pool, {});
    const late = steps(pool, { beforeCommit: () => mayCommit.opened });
    let commits = 0;
    const transactions: PostgresTransactions<pg.PoolClient> = {
      query: inner.query,
      begin: (work: (tx: pg.PoolClient) => Promise<void>) => {
        if (++commits > 1) return inner.begin(work);
        // The answer is lost before the server is through with the commit.
        return new Promise((_resolve, reject) => {
          void late.begin(async (tx) => {
            await work(tx);
            reject(new Error("connection timed out"));
            gaveUp.open();
          });
        });
      },
    };
    const storage = postgres({ client: shop.pool(), schema: shop.schema, transactions });
    const { client, job } = shop.client(storage, (io) =>
      io.runTask(
        "book",
        async (_task, _io, tx) => {
          await tx.query(shop.insert("a"));
          return ++calls;
        },
        transaction,
      ),
    );
    const { id } = await client.invoke(job, undefined);
    const draining = client.drain();
    await gaveUp.opened;
    // Long enough for the engine to have asked for the record, were it not for the row that is held.
    await shop.query("select pg_sleep(0.2)");
    expect(calls).toBe(1);
    mayCommit.open();
    await draining;
    expect(await client.getRun(id)).toMatchObject({ status: "COMPLETED", output: 1 });
    expect(await shop.orders()).toEqual(["a"]);
  });

  test("what the server refuses at the commit is the task's failure", async () => {
    const run = await shop.run(onPool(), (io) =>
      io.runTask(
        "book",
        async (_task, _io, tx) => void (await tx.query(shop.insert("a", "nobody"))),
        transaction,
      ),
    );
    expect(run).toMatchObject({ status: "FAILED", error: { code: "TRANSACTION_FAILED" } });
    expect(run.error?.message).toContain("foreign key");
    expect(await shop.orders()).toEqual([]);
  });

  test("so is a failed statement whose error the callback swallowed", async () => {
    const run = await shop.run(onPool(), (io) =>
      io.runTask(
        "book",
        async (_task, _io, tx) => {
          await tx.query(shop.insert("a"));
          await tx.query(shop.insert("a")).catch(() => {});
        },
        transaction,
      ),
    );
    expect(run).toMatchObject({ status: "FAILED", error: { code: "TRANSACTION_FAILED" } });
    expect(run.error?.message).toContain("its error was caught");
    expect(await shop.orders()).toEqual([]);
  });

  test("a transaction that others overtake (serializable) is made again, and is no failed attempt", async () => {
    const pool = shop.pool();
    const inner = steps(pool, {});
    const transactions: PostgresTransactions<pg.PoolClient> = {
      query: inner.query,
      begin: (work: (tx: pg.PoolClient) => Promise<void>) =>
        inner.begin(async (tx) => {
          await tx.query("set transaction isolation level serializable");
          await work(tx);
        }),
    };
    const storage = postgres({ client: shop.pool(), schema: shop.schema, transactions });
    let calls = 0;
    const run = await shop.run(storage, (io) =>
      io.runTask(
        "book",
        async ({ attempt }, _io, tx) => {
          const { rows } = await tx.query(`select count(*)::int as n from "${shop.tables}".orders`);
          await tx.query(shop.insert(`order ${rows[0].n}`));
          if (++calls === 1) {
            // Somebody else does the same between our look and our commit.
            const other = await pool.connect();
            await other.query("begin isolation level serializable");
            await other.query(`select count(*) from "${shop.tables}".orders`);
            await other.query(shop.insert("other"));
            await other.query("commit");
            other.release();
          }
          return attempt;
        },
        transaction,
      ),
    );
    expect(run).toMatchObject({ status: "COMPLETED", output: 1 });
    expect(calls).toBe(2);
    expect(await shop.orders()).toEqual(["order 1", "other"]);
  });

  test("as many as there are connections, and other tasks beside them, do not wait for each other", async () => {
    const storage = postgres({ client: shop.pool({ max: 2 }), schema: shop.schema });
    const { client, job } = shop.client(storage, (io, id) =>
      Promise.all([
        io.runTask("plain", () => 1),
        io.runTask("book", async (_task, _io, tx) => void (await tx.query(shop.insert(id))), {
          transaction: true,
        }),
        io.runTask("other", () => 2),
      ]),
    );
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => (await client.invoke(job, undefined)).id),
    );
    await client.drain();
    expect(await shop.orders()).toEqual([...ids].sort());
  });
});
