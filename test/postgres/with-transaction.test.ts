import { postgres } from "pawl/postgres";
import type pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { waitingForLock } from "./clients.js";
import { Shop, transaction } from "./transaction-shop.js";

let shop: Shop;
let pool: pg.Pool;

beforeEach(async () => {
  shop = await new Shop().open();
  pool = shop.pool();
});

/** A test that fails leaves some, which others would wait for. */
const open = new Set<pg.PoolClient>();

afterEach(async () => {
  for (const tx of open) tx.release(true);
  open.clear();
  await shop.close();
});

const storage = () => postgres({ client: pool, schema: shop.schema });

async function begun(): Promise<pg.PoolClient> {
  const tx = await pool.connect();
  open.add(tx);
  await tx.query("begin");
  return tx;
}

async function ends(tx: pg.PoolClient, how: "commit" | "rollback"): Promise<void> {
  await tx.query(how);
  tx.release();
  open.delete(tx);
}

describe("client.withTransaction on PostgreSQL", () => {
  test("a worker of another process finds the run when the transaction has committed, and not before", async () => {
    const { client, job } = shop.client(storage(), () => "done");
    const worker = shop.client(storage(), () => "done");
    await worker.client.start();
    await client.getRuns();
    const tx = await begun();
    const handle = await client.withTransaction(tx).invoke(job, undefined);
    await worker.client.drain();
    expect(await client.getRun(handle)).toBeUndefined();
    await ends(tx, "commit");
    const run = await client.waitForRun(handle, { timeout: "20s" });
    expect(run).toMatchObject({ status: "COMPLETED", executionCount: 1 });
  });

  test("in a transactional task what it starts goes with its rows, and not if it fails", async () => {
    const parts = shop.client(storage(), async (io, id) => {
      const program = (key: string, fails: boolean) =>
        io.runTask(
          key,
          async (_task, _io, tx) => {
            await tx.query(shop.insert(`${key} ${id}`));
            const inside = parts.client.withTransaction(tx);
            await inside.invoke("child", { key }, { idempotencyKey: key });
            if (fails) throw new Error("no");
          },
          transaction,
        );
      await program("kept", false);
      await program("gone", true).catch(() => {});
    });
    const children: unknown[] = [];
    const { invokeTrigger } = await import("pawl");
    parts.client.defineJob({
      id: "child",
      trigger: invokeTrigger(),
      run: (payload: unknown) => void children.push(payload),
    });
    const { id } = await parts.client.invoke(parts.job, undefined);
    await parts.client.drain();
    expect(await shop.orders()).toEqual([`kept ${id}`]);
    expect(children).toEqual([{ key: "kept" }]);
  });

  test("two transactions with one idempotency key: the second waits for the first, and finds its run", async () => {
    const { client, job } = shop.client(storage(), () => 1);
    await client.getRuns();
    for (const how of ["commit", "rollback"] as const) {
      const [one, two] = [await begun(), await begun()];
      const options = { idempotencyKey: how };
      const first = await client.withTransaction(one).invoke(job, undefined, options);
      let isAnswered = false;
      const second = client
        .withTransaction(two)
        .invoke(job, undefined, options)
        .finally(() => {
          isAnswered = true;
        });
      await waitingForLock(pool, shop.schema);
      expect(isAnswered).toBe(false);
      await ends(one, how);
      const { id } = await second;
      await ends(two, "commit");
      if (how === "commit") expect(id).toBe(first.id);
      else expect(id).not.toBe(first.id);
      expect(await client.getRun(id)).toMatchObject({ idempotencyKey: how });
    }
  });

  test("many at once in one transaction are all made", async () => {
    const { client, job } = shop.client(storage(), () => 1);
    await client.getRuns();
    const tx = await begun();
    const inside = client.withTransaction(tx);
    const handles = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        inside.invoke(job, undefined, { idempotencyKey: `key ${n % 5}` }),
      ),
    );
    await ends(tx, "commit");
    expect(new Set(handles.map(({ id }) => id)).size).toBe(5);
    expect((await client.getRuns()).runs).toHaveLength(5);
  });

  test("an error leaves the transaction as it was", async () => {
    const { client, job } = shop.client(storage(), () => 1);
    await client.invoke(job, undefined, { idempotencyKey: "taken" });
    await shop.query(
      `alter table "${shop.schema}".runs add constraint no_b check (id <> '$event/b')`,
    );
    const tx = await begun();
    await tx.query(shop.insert("a"));
    const inside = client.withTransaction(tx);
    const other = { idempotencyKey: "taken" };
    await expect(inside.invoke("job", { other: 1 }, other)).rejects.toMatchObject({
      code: "IDEMPOTENCY_CONFLICT",
    });
    await expect(inside.invoke("nobody", 1)).rejects.toMatchObject({ code: "JOB_UNKNOWN" });
    await expect(inside.sendEvents({} as never)).rejects.toMatchObject({ code: "EVENT_INVALID" });
    // What the server itself refuses.
    await expect(inside.sendEvent({ name: "e", id: "b" })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
    await inside.sendEvent({ name: "e", id: "c" });
    await ends(tx, "commit");
    expect(await shop.orders()).toEqual(["a"]);
    expect(await client.getEvent("b")).toBeUndefined();
    expect(await client.getEvent("c")).toMatchObject({ id: "c" });
  });

  test("what is no open transaction is refused", async () => {
    const { client, job } = shop.client(storage(), () => 1);
    await client.getRuns();
    const over = await begun();
    await over.query("rollback");
    for (const tx of [pool as never, {} as never, undefined as never, over])
      await expect(client.withTransaction(tx).invoke(job, undefined)).rejects.toMatchObject({
        code: "TRANSACTION_NOT_OPEN",
      });
    over.release();
    open.delete(over);
    expect((await client.getRuns()).runs).toEqual([]);
  });

  test("a delayed event keeps its time", async () => {
    const { client } = shop.client(storage(), () => 1);
    await client.getRuns();
    const tx = await begun();
    await client
      .withTransaction(tx)
      .sendEvent({ name: "later", id: "later" }, { deliverAfter: "1h" });
    await ends(tx, "commit");
    await client.drain();
    const event = await client.getEvent("later");
    expect(event?.deliverAt?.getTime()).toBeGreaterThan(Date.now() + 3_000_000);
  });
});
