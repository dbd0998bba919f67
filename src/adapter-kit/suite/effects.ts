import { has, same, sameSet, that } from "./check.js";
import { task } from "./samples.js";
import { topic } from "./topic.js";

export const effects = topic("S10: what a write does to other runs is durable with it", {
  async "runs are created with the write, and are due"(store) {
    const run = await store.hold();
    const child = store.newRun({
      parentId: run.id,
      parentPath: "call",
      payload: "[1]",
      tags: ["child"],
      eventId: "event",
    });
    await store.ok(store.write(run, { tasks: [task("call", 1)], runs: [child] }));
    has(await store.get(child.id), {
      jobId: child.jobId,
      status: "PENDING",
      parentId: run.id,
      parentPath: "call",
      payload: "[1]",
      tags: ["child"],
      eventId: "event",
      generation: 1,
      leaseUntil: null,
    });
    same(await store.claimJobOf(child.id), [child.id]);
  },

  async "a run that is there already is left as it is"(store) {
    const run = await store.hold();
    const first = store.newRun({ payload: "first" });
    await store.ok(store.write(run, { runs: [first] }));
    await store.ok(store.write(run, { runs: [{ ...first, payload: "second" }] }));
    has(await store.get(first.id), { payload: "first" });
  },

  async "signals reach several runs, also when the writer ends with that write"(store) {
    const run = await store.hold();
    const ids = await store.createMany([{ wakeAt: null }, { wakeAt: null }]);
    const parked = await store.hold();
    await store.park(parked);
    const signals = [...ids, parked.id].map((runId) => ({ runId, id: "s", topic: "t", ref: "r" }));
    await store.ok(store.write(run, { run: { status: "COMPLETED", finishedAt: 1 }, signals }));
    for (const id of ids) same(await store.signalIds(id), ["s"]);
    same(await store.claimJobOf(parked.id), [parked.id]);
  },

  async "a signal to a run of the same write arrives"(store) {
    const run = await store.hold();
    const child = store.newRun({ wakeAt: null });
    const signals = [{ runId: child.id, id: "s", topic: "t", ref: null }];
    await store.ok(store.write(run, { runs: [child], signals }));
    same(await store.signalIds(child.id), ["s"]);
  },

  async "a signal to a run that does not exist is no reason to refuse the write"(store) {
    const run = await store.hold();
    const signals = [{ runId: "nobody", id: "s", topic: "t", ref: null }];
    await store.ok(store.write(run, { tasks: [task("t", 1)], signals }));
    same((await store.tasks(run.id)).length, 1, "number of tasks");
  },

  async "a write that is not done has no effects"(store) {
    const run = await store.hold();
    const target = await store.create({ wakeAt: null });
    const child = store.newRun();
    const parts = {
      runs: [child],
      signals: [{ runId: target, id: "s", topic: "t", ref: null }],
      watches: [{ targetId: target, signalId: "w", topic: "t" }],
    };
    const results = await store.commitAll([
      store.write({ id: run.id, epoch: run.epoch + 1 }, parts),
      store.outside(run.id, { ...parts, guard: { statuses: ["PENDING"] } }),
      store.outside("nobody", parts),
    ]);
    same(
      results.map(({ result }) => result),
      ["fenced", "conflict", "missing"],
    );
    same(await store.a.getRuns([child.id]), [undefined], "child");
    has(await store.get(target), { inbox: 0 });
  },

  async "values change with the write"(store) {
    const run = await store.hold();
    await store.a.setValue("old", "1");
    const { version } = await store.a.setValue("kept", "1");
    await store.ok(
      store.write(run, {
        values: [
          { key: "new", value: "n", expected: 0 },
          { key: "old", value: null },
          { key: "kept", value: "2", expected: version },
        ],
      }),
    );
    same((await store.a.getValue("new"))?.value, "n");
    same(await store.a.getValue("old"), undefined);
    const kept = await store.a.getValue("kept");
    has(kept, { value: "2" });
    that((kept?.version ?? 0) > version, "the version rises");
  },

  async "delivering again changes nothing"(store) {
    const run = await store.hold();
    const target = await store.create({ wakeAt: null });
    const child = store.newRun({ parentId: run.id });
    const signals = [{ runId: target, id: "s", topic: "t", ref: null }];
    await store.ok(store.write(run, { runs: [child], signals }));
    await store.a.deliver?.();
    await store.b.deliver?.();
    await store.settleReads();
    has(await store.get(target), { inbox: 1 });
    const { runs } = await store.a.listRuns({ parentId: run.id, limit: 9 });
    sameSet(
      runs.map(({ id }) => id),
      [child.id],
    );
  },
});
