import type { RunQuery } from "../../core/storage.js";
import { same, sameSet, that } from "./check.js";
import type { Fixture } from "./fixture.js";
import { topic } from "./topic.js";

async function list(store: Fixture, query: Partial<RunQuery> = {}): Promise<string[]> {
  await store.settleReads();
  const { runs, nextCursor } = await store.a.listRuns({ limit: 100, ...query });
  same(nextCursor, undefined, "nextCursor of a last page");
  return runs.map(({ id }) => id);
}

/** Later runs are younger by a millisecond, so that their order is known. */
async function createInTime(store: Fixture, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) {
    await store.advance(1);
    ids.push(await store.create());
  }
  return ids;
}

export const listing = topic("listRuns and countRuns", {
  async "newest first, page by page, and what comes in between disturbs nobody"(store) {
    const ids = await createInTime(store, 7);
    await store.settleReads();
    const first = await store.a.listRuns({ limit: 3 });
    await createInTime(store, 2);
    await store.settleReads();
    const second = await store.b.listRuns({ limit: 3, cursor: first.nextCursor });
    const third = await store.a.listRuns({ limit: 3, cursor: second.nextCursor });
    same(
      [first, second, third].map(({ runs }) => runs.map(({ id }) => id)),
      [ids.slice(4).reverse(), ids.slice(1, 4).reverse(), ids.slice(0, 1)],
    );
    same(third.nextCursor, undefined, "last cursor");
  },

  async "runs of the same millisecond are paged without loss"(store) {
    const groups = Array.from({ length: 10 }, () => ({ first: store.newRun() }));
    await store.createElement({ groups });
    await store.settleReads();
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.a.listRuns({ limit: 3, cursor });
      that(page.runs.length <= 3, "a page has no more than its limit");
      seen.push(...page.runs.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    sameSet(
      seen,
      groups.map(({ first }) => first.id),
    );
  },

  async "a listed run is the run"(store) {
    const id = await store.create({ tags: ["t"], payload: "[1]" });
    await store.settleReads();
    same((await store.a.listRuns({ limit: 1 })).runs, [await store.get(id)]);
  },

  async "by job, tag, event and parent, alone and together"(store) {
    const ids = await store.createMany([
      { jobId: "x", tags: ["red", "big"], eventId: "e1", parentId: "p1" },
      { jobId: "y", tags: ["red"], eventId: "e1", parentId: "p2" },
      { jobId: "z", tags: ["redder"], eventId: "e2", parentId: "p1" },
    ]);
    const expectations: readonly (readonly [Partial<RunQuery>, readonly number[]])[] = [
      [{ jobIds: ["x"] }, [0]],
      [{ jobIds: ["x", "z", "none"] }, [0, 2]],
      [{ tag: "red" }, [0, 1]],
      [{ tag: "big" }, [0]],
      [{ tag: "r" }, []],
      [{ eventId: "e1" }, [0, 1]],
      [{ parentId: "p1" }, [0, 2]],
      [{ parentId: "p1", eventId: "e1" }, [0]],
      [{ parentId: "p1", tag: "red" }, [0]],
      [{ eventId: "e1", tag: "big" }, [0]],
      [{ tag: "red", jobIds: ["y"] }, [1]],
      [{ tag: "red", jobIds: ["z"] }, []],
    ];
    for (const [query, expected] of expectations)
      sameSet(
        await list(store, query),
        expected.map((n) => ids[n] ?? ""),
        JSON.stringify(query),
      );
  },

  async "by status as it is displayed"(store) {
    const due = await store.create();
    const later = await store.create({ wakeAt: await store.in(1_000) });
    const held = await store.hold();
    const waiting = await store.hold();
    await store.park(waiting);
    const called = await store.hold();
    await store.park(called);
    await store.send(called.id);
    const done = await store.hold();
    await store.finish(done);
    const blocked = await store.hold();
    await store.park(blocked, { wakeAt: 0 }, { run: { status: "WAITING", blocked: "{}" } });
    const sender = await store.sender();
    const byStatus = {
      QUEUED: [due, called.id],
      PENDING: [later, sender],
      EXECUTING: [held.id],
      WAITING: [waiting.id, blocked.id],
      COMPLETED: [done.id],
      FAILED: [],
    } as const;
    for (const [status, ids] of Object.entries(byStatus)) {
      const statuses = [status as keyof typeof byStatus];
      sameSet(await list(store, { statuses }), ids, status);
    }
    sameSet(await list(store, { statuses: ["QUEUED", "EXECUTING"] }), [
      ...byStatus.QUEUED,
      ...byStatus.EXECUTING,
    ]);
    same(await store.a.countRuns(), {
      QUEUED: 2,
      PENDING: 2,
      EXECUTING: 1,
      WAITING: 2,
      COMPLETED: 1,
    });
  },

  async "a run whose lease has lapsed is displayed as queued"(store) {
    const run = await store.hold();
    await store.advance(store.leaseMs);
    same(await list(store, { statuses: ["QUEUED"] }), [run.id]);
    same(await store.a.countRuns(), { QUEUED: 1 });
  },

  async "by whether they are blocked"(store) {
    const free = await store.hold();
    const run = await store.hold();
    const release = { wakeAt: null, wakeSignals: 0 };
    await store.ok(store.write(run, { run: { status: "WAITING", blocked: "why" }, release }));
    same(await list(store, { blocked: true }), [run.id]);
    same(await list(store, { blocked: false }), [free.id]);
    await store.ok(store.outside(run.id, { run: { blocked: null }, release }));
    same(await list(store, { blocked: true }), []);
  },

  async "internal runs are left out unless they are asked for"(store) {
    const [internal = "", plain = ""] = await store.createMany([
      { jobId: "$event" },
      { jobId: "job" },
    ]);
    same(await list(store), [plain]);
    sameSet(await list(store, { internal: true }), [internal, plain]);
    same(await list(store, { internal: true, jobIds: ["$event"] }), [internal]);
    same(await store.a.countRuns(), { QUEUED: 1 });
  },

  async "by the time of creation: from, inclusive, to, exclusive"(store) {
    const ids = await createInTime(store, 4);
    const runs = await store.a.getRuns(ids);
    const [, second, third] = runs.map((run) => run?.createdAt ?? 0);
    same(await list(store, { createdFrom: second, createdTo: third }), ids.slice(1, 2));
    same(await list(store, { createdFrom: third }), ids.slice(2).reverse());
    same(await list(store, { createdTo: third }), ids.slice(0, 2).reverse());
  },

  async "changed tags are found, old ones are not"(store) {
    const other = await store.create({ tags: ["old", "new"] });
    const run = await store.hold({ tags: ["old", "kept"] });
    await store.ok(store.write(run, { run: { tags: ["kept", "new"] } }));
    same(await list(store, { tag: "old" }), [other]);
    same(await list(store, { tag: "kept" }), [run.id]);
    sameSet(await list(store, { tag: "new" }), [run.id, other]);
  },

  async "getRuns answers by position, also for unknown and repeated ids"(store) {
    const [a = "", b = ""] = await store.createMany([{}, {}]);
    const runs = await store.a.getRuns([b, "nobody", a, b]);
    same(
      runs.map((run) => run?.id),
      [b, undefined, a, b],
    );
  },
});
