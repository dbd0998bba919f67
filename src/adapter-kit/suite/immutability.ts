import { finalStatuses } from "../../core/run-status.js";
import { has, same, that } from "./check.js";
import { plain, task } from "./samples.js";
import { topic } from "./topic.js";

export const immutability = topic("S3: what is completed or over never changes", {
  async "a completed record never changes, not even for a write that names it"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("t", 1, { output: "first" })] }));
    for (const parts of [{}, { replaces: 1 }, { status: "FAILED", replaces: 1 }] as const) {
      const changed = task("t", 2, { output: "second", ...parts });
      same((await store.commit(store.write(run, { tasks: [changed] }))).result, "rejected");
    }
    same(await store.tasks(run.id), [plain(task("t", 1, { output: "first" }))], "tasks");
  },

  async "any other record gives way to a write that names its seq"(store) {
    const run = await store.hold();
    const kinds = ["RUNNING", "WAITING", "FAILED", "CANCELED"] as const;
    for (const [index, status] of kinds.entries()) {
      const seq = 2 * index + 1;
      await store.ok(store.write(run, { tasks: [task(status, seq, { status, output: null })] }));
      const next = task(status, seq + 1, { replaces: seq });
      await store.ok(store.write(run, { tasks: [next] }));
    }
    same(
      (await store.tasks(run.id)).map(({ path, seq, status }) => ({ path, seq, status })),
      kinds.map((path, index) => ({ path, seq: 2 * index + 2, status: "COMPLETED" })),
    );
  },

  async "an open record stays if the write does not name it, or names another seq"(store) {
    const run = await store.hold();
    const open = task("t", 1, { status: "WAITING", output: null, wakeAt: 5 });
    await store.ok(store.write(run, { tasks: [open, task("u", 2)] }));
    for (const parts of [{}, { replaces: 2 }, { replaces: 9 }]) {
      const { result } = await store.commit(store.write(run, { tasks: [task("t", 3, parts)] }));
      same(result, "rejected");
    }
    same(await store.tasks(run.id), [plain(open), plain(task("u", 2))], "tasks");
  },

  async "a final run takes no write, whoever sends it"(store) {
    for (const status of finalStatuses) {
      const run = await store.hold();
      await store.ok(store.write(run, { run: { status, output: "o", error: "e", finishedAt: 7 } }));
      const before = await store.get(run.id);
      const results = await store.commitAll([
        store.write(before, { tasks: [task("t", 1)] }),
        store.outside(run.id, { run: { status: "CANCELED" } }),
        store.outside(run.id, { run: { tags: ["x"] }, release: { wakeAt: 0, wakeSignals: 0 } }),
        store.write(before, { leaseUntil: await store.in(store.leaseMs) }),
      ]);
      for (const result of results) has(result, { result: "final", status, leaseUntil: null });
      same(await store.get(run.id), before, "run");
    }
  },

  async "a final status ends lease, deadline and due instant by itself"(store) {
    const run = await store.hold({ maxDurationMs: 5 });
    await store.ok(store.write(run, { run: { status: "FAILED", error: "{}", finishedAt: 7 } }));
    has(await store.get(run.id), {
      status: "FAILED",
      leaseUntil: null,
      deadlineAt: null,
      dueAt: null,
      finishedAt: 7,
    });
  },

  async "a final run is never claimed, not even by name"(store) {
    const run = await store.hold();
    await store.finish(run);
    await store.send(run.id);
    await store.advance(2 * store.leaseMs);
    same(await store.claimJobOf(run.id), [], "by job");
    same(await store.claimJobOf(run.id, { only: [run.id] }), [], "by name");
  },

  async "reopening raises epoch and generation, keeps the tasks and makes it due as it says"(
    store,
  ) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    await store.ok(store.write(run, { run: { status: "FAILED", error: "{}", finishedAt: 7 } }));
    const wakeAt = await store.in(store.leaseMs);
    const result = await store.ok(
      store.outside(run.id, {
        guard: { statuses: [...finalStatuses] },
        reopen: true,
        run: { status: "PENDING", error: null, finishedAt: null },
        release: { wakeAt, wakeSignals: 0 },
      }),
    );
    that(result.epoch > run.epoch, "the epoch is raised");
    has(await store.get(run.id), {
      status: "PENDING",
      generation: run.generation + 1,
      error: null,
      finishedAt: null,
      dueAt: wakeAt,
    });
    same(await store.claimJobOf(run.id), [], "before its time");
    await store.advance(store.leaseMs);
    const { runs } = await store.claim({ jobIds: [run.jobId] });
    same(
      runs[0]?.tasks.map(({ path }) => path),
      ["t"],
      "tasks",
    );
  },

  async "of two that reopen a run only one does"(store) {
    const run = await store.hold();
    await store.finish(run);
    const reopen = (storage: typeof store.a) =>
      store.commit(
        store.outside(run.id, {
          guard: { statuses: ["COMPLETED"] },
          reopen: true,
          run: { status: "PENDING", finishedAt: null },
          release: { wakeAt: 0, wakeSignals: 0 },
        }),
        storage,
      );
    const results = await Promise.all([reopen(store.a), reopen(store.b)]);
    same(results.map(({ result }) => result).sort(), ["conflict", "ok"]);
    has(await store.get(run.id), { generation: run.generation + 1 });
  },
});
