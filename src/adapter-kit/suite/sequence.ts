import { has, same } from "./check.js";
import { plain, task } from "./samples.js";
import { topic } from "./topic.js";

export const sequence = topic("S5: every record carries a seq of its own", {
  async "a seq that another write has taken is refused, and with it its element"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("first", 1)] }));
    const { result } = await store.commit(
      store.write(run, { tasks: [task("second", 2), task("third", 1)] }),
    );
    same(result, "rejected");
    same(await store.tasks(run.id), [plain(task("first", 1))], "tasks");
  },

  async "records are read by seq, in whatever order they were written"(store) {
    const run = await store.hold();
    for (const seqs of [
      [3, 1],
      [12, 10, 2],
    ])
      await store.ok(store.write(run, { tasks: seqs.map((seq) => task(`t${seq}`, seq)) }));
    same(
      (await store.tasks(run.id)).map(({ seq }) => seq),
      [1, 2, 3, 10, 12],
    );
    same(
      (await store.a.listTasks(run.id, 2, 1_000_000)).tasks.map(({ seq }) => seq),
      [3, 10, 12],
    );
  },

  async "a record that gave way is read no more, and its successor at the new place"(store) {
    const run = await store.hold();
    const open = task("t", 1, { status: "RUNNING", output: null, finishedAt: null });
    await store.ok(store.write(run, { tasks: [open, task("u", 2)] }));
    await store.ok(store.write(run, { tasks: [task("t", 3, { replaces: 1 })] }));
    same(await store.tasks(run.id), [plain(task("u", 2)), plain(task("t", 3))]);
  },

  async "a record never takes the place of another under the same seq"(store) {
    const run = await store.hold();
    const open = task("t", 1, { status: "RUNNING", output: null, finishedAt: null });
    await store.ok(store.write(run, { tasks: [open] }));
    const { result } = await store.commit(
      store.write(run, { tasks: [task("t", 1, { replaces: 1 })] }),
    );
    same(result, "rejected");
    same(await store.tasks(run.id), [plain(open)], "tasks");
  },

  async "the seqs of one run are nothing to another"(store) {
    const runs = [await store.hold(), await store.hold()];
    for (const run of runs) await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    for (const run of runs) has((await store.tasks(run.id))[0], { path: "t", seq: 1 });
  },

  async "a claim hands out records by seq"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("b", 2), task("a", 1), task("c", 3)] }));
    await store.park(run, { wakeAt: 0 });
    const { runs } = await store.claim({ jobIds: [run.jobId], workerId: "second" });
    same(
      runs[0]?.tasks.map(({ path }) => path),
      ["a", "b", "c"],
    );
  },
});
