import { has, same } from "./check.js";
import { line, plain, task } from "./samples.js";
import { topic } from "./topic.js";

export const atomicity = topic("S1: an element is atomic and stands alone", {
  async "a refused element leaves no trace of any of its parts"(store) {
    const run = await store.hold();
    const other = await store.create({ wakeAt: null });
    await store.ok(store.write(run, { tasks: [task("done", 1)] }));
    await store.send(run.id, { id: "unread" });
    const before = await store.get(run.id);
    const child = store.newRun();
    const refused = await store.commit(
      store.write(run, {
        tasks: [task("new", 2), task("done", 3, { replaces: 1 })],
        run: { status: "WAITING", output: "changed", tags: ["changed"] },
        signalsRead: ["unread"],
        signals: [{ runId: other, id: "s", topic: "t", ref: null }],
        watches: [{ targetId: other, signalId: "w", topic: "t" }],
        runs: [child],
        logs: [line(1)],
        values: [{ key: "changed", value: "1" }],
        release: { wakeAt: 0, wakeSignals: 0 },
      }),
    );
    await store.settleReads();
    same(refused.result, "rejected");
    same(await store.get(run.id), before, "run");
    same(await store.tasks(run.id), [plain(task("done", 1))], "tasks");
    same(await store.signalIds(run.id), ["unread"], "signals of the run");
    same(await store.a.listSignals(other), [], "signals of the other run");
    has(await store.get(other), { inbox: 0 });
    same(await store.a.getRuns([child.id]), [undefined], "child");
    same(await store.a.listLogs(run.id, { limit: 10 }), [], "log");
    same(await store.a.getValue("changed"), undefined, "value");
  },

  async "a refusal is answered with a reason"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    const refused = await store.commit(store.write(run, { tasks: [task("t", 2)] }));
    same(refused.result, "rejected");
    same(typeof refused.reason, "string", "type of the reason");
  },

  async "a refused element does not hold up its neighbours"(store) {
    const runs = [await store.hold(), await store.hold(), await store.hold()];
    const [, refused] = runs;
    for (const run of runs.filter((each) => each === refused))
      await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    const results = await store.commitAll(
      runs.map((run) => store.write(run, { tasks: [task("t", 1, { output: "second" })] })),
    );
    same(
      results.map(({ result }) => result),
      ["ok", "rejected", "ok"],
    );
    for (const run of runs.filter((each) => each !== refused))
      has((await store.tasks(run.id))[0], { output: "second" });
  },

  async "answers come by position, each decided for itself"(store) {
    const held = await store.hold();
    const over = await store.hold();
    await store.finish(over);
    const results = await store.commitAll([
      store.write({ id: "nobody", epoch: 1 }, { tasks: [task("t", 1)] }),
      store.write({ id: held.id, epoch: held.epoch + 7 }, { run: { tags: ["x"] } }),
      store.write(held, { tasks: [task("t", 1)] }),
      store.write(over, { tasks: [task("t", 1)] }),
      store.outside(held.id, {
        guard: { statuses: ["PENDING"] },
        values: [{ key: "k", value: "" }],
      }),
    ]);
    same(
      results.map(({ result }) => result),
      ["missing", "fenced", "ok", "final", "conflict"],
    );
    same((await store.tasks(held.id)).length, 1, "number of tasks");
  },

  async "two elements of one run in one call are both decided"(store) {
    const run = await store.hold();
    const results = await store.commitAll([
      store.write(run, { tasks: [task("first", 1)] }),
      store.write(run, { tasks: [task("second", 2)] }),
    ]);
    same(
      results.map(({ result }) => result),
      ["ok", "ok"],
    );
    same(
      (await store.tasks(run.id)).map(({ path }) => path),
      ["first", "second"],
    );
  },

  async "an element whose value moved on changes nothing"(store) {
    const run = await store.hold();
    await store.a.setValue("k", "old");
    const { result } = await store.commit(
      store.write(run, {
        tasks: [task("t", 1)],
        values: [
          { key: "other", value: "new" },
          { key: "k", value: "new", expected: 0 },
        ],
      }),
    );
    same(result, "conflict");
    same(await store.tasks(run.id), [], "tasks");
    same(await store.a.getValue("other"), undefined, "other value");
    has(await store.a.getValue("k"), { value: "old" });
  },

  async "a created element that conflicts makes nothing and leaves its neighbours alone"(store) {
    const runs = [store.newRun(), store.newRun(), store.newRun(), store.newRun()] as const;
    const results = await store.createRuns([
      { createId: store.id("create"), groups: [{ first: runs[0] }] },
      {
        createId: store.id("create"),
        groups: [{ first: runs[1] }, { first: runs[2] }],
        expect: [{ key: "registry", version: 3 }],
      },
      { createId: store.id("create"), groups: [{ first: runs[3] }] },
    ]);
    same(
      results.map(({ result }) => result),
      ["ok", "conflict", "ok"],
    );
    const made = await store.a.getRuns(runs.map(({ id }) => id));
    same(
      made.map((run) => run?.id),
      [runs[0].id, undefined, undefined, runs[3].id],
    );
  },

  async "no elements, no answers"(store) {
    same(await store.a.commit([]), []);
    same(await store.a.createRuns([]), []);
    same(await store.a.getRuns([]), []);
  },
});
