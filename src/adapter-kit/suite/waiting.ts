import type { RunRecord, TaskWrite } from "../../core/storage.js";
import { has, same, sameSet, that } from "./check.js";
import type { Fixture } from "./fixture.js";
import { plain, task } from "./samples.js";
import { topic } from "./topic.js";

function wait(
  path: string,
  seq: number,
  topics: readonly string[],
  parts: Partial<TaskWrite> = {},
) {
  return task(path, seq, {
    kind: "event",
    status: "WAITING",
    output: null,
    finishedAt: null,
    topics,
    ...parts,
  });
}

async function found(store: Fixture, topics: readonly string[]): Promise<string[]> {
  const waits = await store.a.listWaiting(topics, { limit: 100 });
  return waits.map(({ runId, task: { path } }) => `${runId} ${path}`);
}

export const taskPages = topic("listTasks", {
  async "a record is read as it was written"(store) {
    const run = await store.hold();
    const tasks = [
      task("a", 1, {
        attempts: 3,
        error: "e",
        output: null,
        status: "FAILED",
        data: "{}",
        wakeAt: 9,
      }),
      task("b", 2, { output: "", data: "" }),
      task("c", 3, { status: "RUNNING", kind: "wait", startedAt: 0, finishedAt: null }),
      wait("d", 4, ["x", "y z/"], { filter: '{"a":[1]}', wakeAt: 5 }),
    ];
    await store.ok(store.write(run, { tasks }));
    same(await store.tasks(run.id, store.b), tasks.map(plain));
  },

  async "a page holds at least one record and about as much as was asked for"(store) {
    const run = await store.hold();
    const output = "x".repeat(10_000);
    const tasks = Array.from({ length: 9 }, (_, n) => task(`t${n}`, n + 1, { output }));
    await store.ok(store.write(run, { tasks }));
    const seen: number[] = [];
    const sizes: number[] = [];
    for (let complete = false; !complete; ) {
      const budget = sizes.length === 0 ? 1 : 25_000;
      const page = await store.a.listTasks(run.id, seen.at(-1) ?? 0, budget);
      seen.push(...page.tasks.map(({ seq }) => seq));
      sizes.push(page.tasks.length);
      complete = page.complete;
      that(sizes.length < 20, "pages come to an end");
    }
    same(
      seen,
      tasks.map(({ seq }) => seq),
      "seqs",
    );
    same(sizes[0], 1, "records for a budget of one byte");
    that(
      sizes.slice(1).every((size) => size <= 4),
      "pages are about as great as was asked for",
    );
  },

  async "a run without tasks, and one that does not exist, have a complete empty page"(store) {
    const id = await store.create();
    same(await store.a.listTasks(id, 0, 100), { tasks: [], complete: true });
    same(await store.a.listTasks("nobody", 0, 100), { tasks: [], complete: true });
    same(await store.a.listSignals("nobody"), []);
  },

  async "many records of one run are kept"(store) {
    const run = await store.hold();
    const tasks = Array.from({ length: 500 }, (_, n) => task(`list/${n}`, n + 1));
    await store.ok(store.write(run, { tasks }));
    same((await store.tasks(run.id)).length, 500);
    await store.ok(store.write(run, { tasks: [task("last", 501)] }));
    same(
      (await store.a.listTasks(run.id, 499, 10_000)).tasks.map(({ seq }) => seq),
      [500, 501],
    );
  },
});

export const waiting = topic("listWaiting", {
  async "an open wait is found by any of its topics, once"(store) {
    const run = await store.hold();
    const open = wait("w", 1, ["user", "user/id/7"], { filter: "{}" });
    await store.ok(store.write(run, { tasks: [open] }));
    same(await found(store, ["user"]), [`${run.id} w`]);
    same(await found(store, ["none", "user/id/7", "user"]), [`${run.id} w`]);
    same(await found(store, ["use"]), []);
    same(await found(store, []), []);
    const [waited] = await store.b.listWaiting(["user"], { limit: 1 });
    has(waited, { runId: run.id, jobId: run.jobId, createdAt: run.createdAt });
    same(plain(waited?.task ?? open), plain(open), "task");
  },

  async "a wait that was fulfilled is found no more"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [wait("w", 1, ["t"]), wait("v", 2, ["t"])] }));
    await store.ok(store.write(run, { tasks: [task("w", 3, { replaces: 1, topics: ["t"] })] }));
    same(await found(store, ["t"]), [`${run.id} v`]);
  },

  async "a wait of a run that is over is not found, and again when the run is reopened"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [wait("w", 1, ["t"])] }));
    await store.finish(run);
    same(await found(store, ["t"]), []);
    await store.ok(
      store.outside(run.id, {
        reopen: true,
        run: { status: "PENDING", finishedAt: null },
        release: { wakeAt: 0, wakeSignals: 0 },
      }),
    );
    same(await found(store, ["t"]), [`${run.id} w`]);
  },

  async "a wait is found while its run is held, parked and due"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [wait("w", 1, ["t"])] }));
    same(await found(store, ["t"]), [`${run.id} w`], "held");
    await store.park(run);
    same(await found(store, ["t"]), [`${run.id} w`], "parked");
    await store.send(run.id);
    same(await found(store, ["t"]), [`${run.id} w`], "due");
  },

  async "pages are in a stable order, whatever happens in between"(store) {
    const runs: RunRecord[] = [];
    for (let n = 0; n < 5; n += 1) runs.push(await store.hold());
    for (const run of runs)
      await store.ok(store.write(run, { tasks: [wait("w", 1, ["t", "u"]), wait("v", 2, ["u"])] }));
    const all = await found(store, ["t", "u"]);
    sameSet(
      all,
      runs.flatMap(({ id }) => [`${id} w`, `${id} v`]),
    );
    const seen: string[] = [];
    let after: { runId: string; path: string } | undefined;
    for (let page = 0; page < 5; page += 1) {
      const waits = await store.a.listWaiting(["t", "u"], { after, limit: 3 });
      for (const {
        runId,
        task: { path },
      } of waits) {
        seen.push(`${runId} ${path}`);
        after = { runId, path };
      }
      await store.ok(store.write(await store.hold(), { tasks: [task("other", 1)] }));
    }
    same(seen, all);
  },

  async "the place after which a page begins need not be there any more"(store) {
    const run = await store.hold();
    await store.ok(
      store.write(run, { tasks: ["a", "b", "c"].map((path, n) => wait(path, n + 1, ["t"])) }),
    );
    const [first] = await store.a.listWaiting(["t"], { limit: 1 });
    const path = first?.task.path ?? "";
    const seq = first?.task.seq ?? 0;
    await store.ok(store.write(run, { tasks: [task(path, 9, { replaces: seq })] }));
    const rest = await store.a.listWaiting(["t"], { after: { runId: run.id, path }, limit: 9 });
    same(rest.length, 2, "number of waits");
  },
});
