import type { ClaimResult } from "../../core/storage.js";
import { has, present, same, sameSet } from "./check.js";
import { line, task } from "./samples.js";
import { topic } from "./topic.js";

export const repeats = topic("S4: what is sent again after a lost answer is recognised", {
  async "a repeated write of tasks answers ok and changes nothing"(store) {
    const run = await store.hold();
    const write = store.write(run, { tasks: [task("t", 1, { output: "first" })] });
    await store.ok(write);
    await store.ok({ ...write, tasks: [task("t", 1, { output: "second" })] });
    has((await store.tasks(run.id))[0], { output: "first" });
  },

  async "a write of tasks is recognised after later ones"(store) {
    const run = await store.hold();
    const first = store.write(run, { tasks: [task("first", 1)] });
    await store.ok(first);
    await store.ok(store.write(run, { tasks: [task("second", 2)], run: { tags: ["x"] } }));
    await store.ok(store.write(run, { tasks: [task("third", 3)] }));
    await store.ok(first);
    same((await store.tasks(run.id)).length, 3, "number of tasks");
  },

  async "a repeated release answers ok, although it fenced its own holder"(store) {
    const run = await store.hold();
    const write = store.write(run, {
      tasks: [task("t", 1)],
      run: { status: "WAITING" },
      release: { wakeAt: null, wakeSignals: 1 },
    });
    const first = await store.ok(write);
    has(await store.ok(write), { epoch: first.epoch, status: "WAITING", leaseUntil: null });
  },

  async "a repeated end answers ok, although the run is over"(store) {
    const run = await store.hold();
    const write = store.write(run, {
      guard: { epoch: run.epoch, inbox: 0 },
      run: { status: "COMPLETED", output: "1", finishedAt: 3 },
    });
    await store.ok(write);
    const before = await store.get(run.id);
    has(await store.ok(write), { status: "COMPLETED" });
    same(await store.get(run.id), before, "run");
  },

  async "a repeated write of an outsider answers ok and raises the epoch once"(store) {
    const id = await store.create({ wakeAt: null });
    const write = store.outside(id, {
      guard: { statuses: ["PENDING"] },
      run: { status: "WAITING" },
      release: { wakeAt: 0, wakeSignals: 0 },
    });
    const first = await store.ok(write);
    same((await store.ok(write)).epoch, first.epoch, "epoch");
  },

  async "a repeated write of values answers ok, although they have moved on by it"(store) {
    const run = await store.hold();
    const write = store.write(run, { values: [{ key: "k", value: "v", expected: 0 }] });
    await store.ok(write);
    await store.ok(write);
    same(await store.a.getValue("k"), { value: "v", version: 1 });
  },

  async "a write that arrives twice at the same time takes effect once"(store) {
    const run = await store.hold();
    const target = await store.create({ wakeAt: null });
    const write = store.write(run, {
      tasks: [task("t", 1)],
      run: { status: "WAITING" },
      signals: [{ runId: target, id: "s", topic: "t", ref: null }],
      logs: [line(1)],
      release: { wakeAt: null, wakeSignals: 1 },
    });
    const results = await Promise.all([store.commit(write, store.a), store.commit(write, store.b)]);
    await store.settleReads();
    same(
      results.map(({ result }) => result),
      ["ok", "ok"],
    );
    has(await store.get(target), { inbox: 1 });
    same((await store.a.listLogs(run.id, { limit: 9 })).length, 1, "log lines");
    same(results[0]?.epoch, (await store.get(run.id)).epoch, "epoch");
  },

  async "a repeated createId answers as it did at first"(store) {
    const known = await store.create();
    const lease = { workerId: "worker", leaseMs: store.leaseMs };
    const element = {
      createId: "create",
      groups: [
        { first: store.newRun({ fingerprint: "f" }), further: [store.newRun(), store.newRun()] },
        { first: store.newRun({ id: known }), further: [store.newRun()] },
        { first: store.newRun({ lease }) },
      ],
    };
    const first = await store.createElement(element);
    await store.advance(1);
    same(await store.createElement(element, store.b), first, "answer to the repetition");
    await store.settleReads();
    same((await store.a.listRuns({ limit: 100 })).runs.length, 5, "number of runs");
  },

  async "a repeated createId tells of the lease that it gave, not of later ones"(store) {
    const lease = { workerId: "worker", leaseMs: store.leaseMs };
    const [leased, free] = [store.newRun({ lease }), store.newRun()];
    const element = { createId: "create", groups: [{ first: leased }, { first: free }] };
    const first = await store.createElement(element);
    const held = await store.get(leased.id);
    await store.ok(store.write(held, { leaseUntil: await store.in(2 * store.leaseMs) }));
    await store.take(free.id);
    same(await store.createElement(element), first);
    await store.finish(held);
    same(await store.createElement(element), first);
  },

  async "a repeated createId makes no conflict of a value that moved on"(store) {
    const { version } = await store.a.setValue("registry", "1");
    const element = {
      createId: "create",
      groups: [{ first: store.newRun() }],
      expect: [{ key: "registry", version }],
    };
    const first = await store.createElement(element);
    await store.a.setValue("registry", "2");
    same(await store.createElement(element), first);
  },

  async "a repeated createId is recognised after its key has gone over to another run"(store) {
    const key = { jobId: "job", idempotencyKey: "key" };
    const run = store.newRun({ ...key, idempotencyExpiresAt: await store.in(10) });
    const element = { createId: "create", groups: [{ first: run }] };
    const first = await store.createElement(element);
    await store.advance(10);
    await store.create(key);
    same(await store.createElement(element), first);
  },

  async "a repeated claimId answers the runs that it took, and takes no more"(store) {
    const jobId = "job";
    await store.createMany([{ jobId }, { jobId }, { jobId }]);
    const request = store.request({ jobIds: [jobId], limit: 2 });
    const first = await store.a.claimRuns(request);
    const [run] = first.runs.map((each) => each.run);
    await store.ok(store.write(present(run, "run"), { tasks: [task("t", 1)] }));
    const second = await store.b.claimRuns(request);
    const held = ({ runs }: ClaimResult) =>
      runs.map(({ run: { id, epoch, executionCount } }) => `${id} ${epoch} ${executionCount}`);
    sameSet(held(second), held(first), "runs");
    same(second.runs.map(({ tasks }) => tasks.length).sort(), [0, 1], "number of tasks");
    same((await store.claimIds({ jobIds: [jobId] })).length, 1, "runs that are left");
  },

  async "a repeated claimId leaves out what somebody else has taken"(store) {
    const jobIds = ["job"];
    const [kept = "", lost = ""] = await store.createMany([
      { jobId: "job", wakeAt: 1 },
      { jobId: "job", wakeAt: 2 },
    ]);
    const request = store.request({ jobIds });
    const [first] = (await store.a.claimRuns(request)).runs;
    const leaseUntil = await store.in(3 * store.leaseMs);
    await store.ok(store.write(present(first?.run, "run"), { leaseUntil }));
    await store.advance(store.leaseMs);
    same(await store.claimIds({ jobIds, workerId: "other" }, store.b), [lost], "taken by another");
    const { runs } = await store.a.claimRuns(request);
    same(
      runs.map(({ run }) => run.id),
      [kept],
    );
  },

  async "a repeated claimId leaves out what is not held any more"(store) {
    const jobId = "job";
    const [lost = "", kept = ""] = await store.createMany([
      { jobId, wakeAt: 1 },
      { jobId, wakeAt: 2 },
      { jobId, wakeAt: 3 },
    ]);
    const request = store.request({ jobIds: [jobId], limit: 2 });
    await store.a.claimRuns(request);
    await store.ok(store.outside(lost, { run: { status: "CANCELED", finishedAt: 1 } }));
    const { runs } = await store.a.claimRuns(request);
    same(
      runs.map(({ run }) => run.id),
      [kept],
    );
  },
});
