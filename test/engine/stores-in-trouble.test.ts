import type { Storage } from "pawl";
import { expect, test } from "vitest";
import type { CommitResult, RunWrite } from "../../src/core/storage.js";
import { gate, jobOf, turns } from "./drive.js";
import { until } from "./support.js";
import { describeEngine } from "./world.js";

type Commit = (writes: readonly RunWrite[]) => Promise<readonly CommitResult[]>;

/** A storage whose first write of a shared value waits, or is answered otherwise. */
class Slow {
  readonly storage: Storage;
  /** Opens when that write is on its way. */
  readonly sent = gate();
  readonly goesOn = gate();
  /** No claim gets through before. */
  claims: Promise<void> = Promise.resolve();
  /** No read of a shared value gets through before. */
  reads: Promise<void> = Promise.resolve();
  #isFirst = true;

  constructor(storage: Storage, answer?: (write: RunWrite) => CommitResult) {
    this.storage = new Proxy(storage, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        const call = value.bind(target);
        if (name === "commit") return this.#commit(call, answer);
        if (name !== "claimRuns" && name !== "getValue") return call;
        return async (what: unknown) => {
          if (name === "claimRuns") await this.claims;
          else if (String(what).startsWith("store:")) await this.reads;
          return call(what);
        };
      },
    });
  }

  #commit(commit: Commit, answer?: (write: RunWrite) => CommitResult): Commit {
    return async (writes) => {
      const isIt = this.#isFirst && writes.some(({ values }) => values !== undefined);
      if (!isIt) return commit(writes);
      this.#isFirst = false;
      if (answer !== undefined) return writes.map(answer);
      this.sent.open();
      await this.goesOn.opened;
      return commit(writes);
    };
  }
}

const count = jobOf((io) => io.store.env.increment("i", "n"));

describeEngine("io.store in trouble", (world) => {
  test("a run that is cancelled elsewhere while it increments a value leaves it to the next run", async () => {
    const slow = new Slow(world().storage());
    const client = world().client({ id: "slow", storage: slow.storage, jobs: [count] });
    const other = world().client({ id: "other" });
    const first = await client.invoke("job", 1);
    await client.start();
    await slow.sent.opened;
    await other.cancelRun(first);
    slow.goesOn.open();
    const second = await client.invoke("job", 2);
    await until(async () => (await other.getRun(second))?.output === 1);
    expect((await other.getRun(first))?.status).toBe("CANCELED");
  });

  test("a worker whose increment comes too late, since another has the run by now, goes on with other runs", async () => {
    const slow = new Slow(world().storage());
    const client = world().client({ id: "slow", storage: slow.storage, jobs: [count] });
    const other = world().client({ id: "other", jobs: [count] });
    const first = await client.invoke("job", 1);
    await client.start();
    await slow.sent.opened;
    const thaw = gate();
    slow.claims = thaw.opened;
    world().clock.advance("10m");
    await other.drain();
    expect((await other.getRun(first))?.output).toBe(1);
    slow.goesOn.open();
    thaw.open();
    const second = await client.invoke("job", 2);
    await until(async () => {
      world().clock.advance(1);
      return (await other.getRun(second))?.output === 2;
    });
    expect(await client.store.env.get("n")).toBe(2);
  });

  test("a task tried again counts by itself if the increment of its last attempt turns out to be refused", async () => {
    const slow = new Slow(world().storage());
    const thaw = gate();
    slow.reads = thaw.opened;
    let attempts = 0;
    const job = jobOf((io) =>
      io.runTask(
        "parent",
        async (_task, inner) => {
          attempts++;
          const counted = inner.store.env.increment("i", "n");
          if (attempts === 1) throw new Error("while it counts");
          return counted;
        },
        { retry: { limit: 2, minTimeoutInMs: 3_000, randomize: false } },
      ),
    );
    const client = world().client({ id: "slow", storage: slow.storage, jobs: [job] });
    const other = world().client({ id: "other" });
    const { id } = await client.invoke("job", {});
    await client.start();
    // The first attempt has failed before its increment is decided.
    await until(async () => (await other.getRun(id, { tasks: true }))?.tasks?.length === 1);
    thaw.open();
    await slow.sent.opened;
    await other.store.env.increment("n", 10);
    world().clock.advance(3);
    await until(() => attempts === 2);
    await turns();
    slow.goesOn.open();
    await until(async () => (await other.getRun(id))?.status === "COMPLETED");
    expect((await other.getRun(id))?.output).toBe(11);
    expect(world().troubles).toEqual([]);
  });

  test("an increment that the storage refuses pauses the run, which gives its slot back and goes on later", async () => {
    const slow = new Slow(world().storage(), () => ({
      result: "rejected",
      reason: "disk full",
      epoch: 1,
      status: "EXECUTING",
      inbox: 0,
      leaseUntil: null,
    }));
    const client = world().client({ storage: slow.storage, concurrency: 1, jobs: [count] });
    client.on("runBlocked", () => {});
    const first = await client.invoke("job", 1);
    await client.drain();
    expect(await client.getRun(first)).toMatchObject({
      status: "WAITING",
      error: { code: "STORAGE_FAILED" },
    });
    const second = await client.invoke("job", 2);
    await client.drain();
    expect((await client.getRun(second))?.output).toBe(1);
    world().clock.advance("1m");
    await client.drain();
    expect((await client.getRun(first))?.output).toBe(2);
  });
});
