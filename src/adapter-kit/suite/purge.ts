import type { RunQuery } from "../../core/storage.js";
import { has, same, sameSet } from "./check.js";
import type { Fixture } from "./fixture.js";
import { line, task } from "./samples.js";
import { topic } from "./topic.js";

/** A run that ended at this instant. */
async function ended(store: Fixture, finishedAt: number, columns = {}): Promise<string> {
  const run = await store.hold(columns);
  await store.ok(store.write(run, { run: { status: "COMPLETED", finishedAt } }));
  return run.id;
}

async function left(store: Fixture, ids: readonly string[]): Promise<string[]> {
  return (await store.a.getRuns(ids)).flatMap((run) => run?.id ?? []);
}

async function listed(store: Fixture, query: Partial<RunQuery>): Promise<string[]> {
  return (await store.a.listRuns({ ...query, limit: 9 })).runs.map(({ id }) => id);
}

export const purging = topic("purge", {
  async "only runs that ended before the given instant go"(store) {
    const at = await store.in(0);
    const before = await ended(store, at - 1);
    const others = [await ended(store, at), await ended(store, at + 1), await store.create()];
    const result = await store.a.purge({ finishedBefore: at, dedupeUntil: 0, limit: 100 });
    same(result, { purged: 1 });
    sameSet(await left(store, [before, ...others]), others);
  },

  async "no more go at once than the limit, in the end all"(store) {
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.push(await ended(store, n));
    const query = { finishedBefore: 100, dedupeUntil: 0, limit: 2 };
    const purged: number[] = [];
    for (let round = 0; round < 4; round += 1) purged.push((await store.a.purge(query)).purged);
    same(purged, [2, 2, 1, 0]);
    same(await left(store, ids), []);
  },

  async "all that belongs to a run goes with it"(store) {
    const columns = { jobId: "job", tags: ["t"], eventId: "e", parentId: "p" };
    const neighbour = await store.create({ ...columns, wakeAt: null });
    const run = await store.hold(columns);
    await store.send(run.id);
    await store.ok(store.write(run, { tasks: [task("t", 1)], logs: [line(1)] }));
    await store.ok(store.write(run, { run: { status: "FAILED", finishedAt: 1 } }));
    await store.a.purge({ finishedBefore: 2, dedupeUntil: 0, limit: 9 });
    await store.settleReads();
    same(await store.tasks(run.id), [], "tasks");
    same(await store.a.listSignals(run.id), [], "signals");
    same(await store.a.listLogs(run.id, { limit: 9 }), [], "log");
    for (const query of [{ jobIds: ["job"] }, { tag: "t" }, { eventId: "e" }, { parentId: "p" }])
      same(await listed(store, query), [neighbour], JSON.stringify(query));
    const { result } = await store.commit(store.outside(run.id, { values: [] }));
    same(result, "missing");
  },

  async "id and idempotency key of a purged run stay taken until the given instant"(store) {
    const key = { jobId: "job", idempotencyKey: "key", fingerprint: "print" };
    const id = await ended(store, 1, key);
    const { createdAt } = await store.get(id);
    await store.a.purge({ finishedBefore: 2, dedupeUntil: await store.in(100), limit: 9 });
    await store.advance(99);
    for (const first of [store.newRun({ id, jobId: "other" }), store.newRun(key)]) {
      const result = await store.createElement({ groups: [{ first, further: [store.newRun()] }] });
      const answered = result.result === "ok" ? result.groups[0]?.first : undefined;
      same(answered, { id, created: false, fingerprint: "print", createdAt, leaseUntil: null });
    }
    same(await left(store, [id]), [], "purged run");
  },

  async "after that instant they are free again"(store) {
    const key = { jobId: "job", idempotencyKey: "key" };
    const id = await ended(store, 1, key);
    const query = { finishedBefore: 2, dedupeUntil: await store.in(100), limit: 9 };
    await store.a.purge(query);
    await store.advance(100);
    same(await store.a.purge(query), { purged: 0 });
    const again = await store.create({ id, ...key });
    has(await store.get(again), { status: "PENDING", idempotencyKey: "key" });
  },

  async "a key that has gone over to a newer run stays with it"(store) {
    const key = { jobId: "job", idempotencyKey: "key" };
    const idempotencyExpiresAt = await store.in(10);
    const run = await store.hold({ ...key, idempotencyExpiresAt });
    await store.ok(store.write(run, { run: { status: "COMPLETED", finishedAt: 1 } }));
    await store.advance(10);
    const newer = await store.create({ ...key, wakeAt: null });
    const dedupeUntil = await store.in(1_000);
    same(await store.a.purge({ finishedBefore: 2, dedupeUntil, limit: 9 }), { purged: 1 });
    const result = await store.createElement({ groups: [{ first: store.newRun(key) }] });
    const first = result.result === "ok" ? result.groups[0]?.first : undefined;
    has(first, { id: newer, created: false });
  },

  async "children stay while their parent is open"(store) {
    const parent = await store.hold();
    const child = await ended(store, 1, { parentId: parent.id });
    const orphan = await ended(store, 1, { parentId: "nobody" });
    const query = { finishedBefore: 100, dedupeUntil: 0, limit: 9 };
    same(await store.a.purge(query), { purged: 1 });
    same(await left(store, [child, orphan]), [child]);
    await store.ok(store.write(parent, { run: { status: "COMPLETED", finishedAt: 1 } }));
    same(await store.a.purge(query), { purged: 2 });
  },

  async "a run stays while an internal child of it is open, and not for any other child"(store) {
    const id = await ended(store, 1);
    const hook = await store.hold({ jobId: "$hook:job", parentId: id });
    const other = await ended(store, 1);
    await store.create({ parentId: other });
    const query = { finishedBefore: 100, dedupeUntil: 0, limit: 9 };
    same(await store.a.purge(query), { purged: 1 });
    same(await left(store, [id, other]), [id]);
    await store.ok(store.write(hook, { run: { status: "COMPLETED", finishedAt: 50 } }));
    same(await store.a.purge(query), { purged: 2 });
  },

  async "spared runs do not use up the limit for ever"(store) {
    const parent = await store.hold();
    for (let n = 0; n < 4; n += 1) await ended(store, n, { parentId: parent.id });
    const free = await ended(store, 50);
    const query = { finishedBefore: 100, dedupeUntil: 0, limit: 2 };
    for (let round = 0; round < 4; round += 1) await store.a.purge(query);
    same(await left(store, [free]), []);
  },

  async "a reopened run is not purged for having been over"(store) {
    const id = await ended(store, 1);
    await store.ok(
      store.outside(id, {
        reopen: true,
        run: { status: "PENDING", finishedAt: null },
        release: { wakeAt: 0, wakeSignals: 0 },
      }),
    );
    same(await store.a.purge({ finishedBefore: 100, dedupeUntil: 0, limit: 9 }), { purged: 0 });
  },
});
