import { has, present, same } from "./check.js";
import { line, plain, task } from "./samples.js";
import { topic } from "./topic.js";

export const executions = topic("executions, stalls and suspects", {
  async "each claim counts as an execution"(store) {
    const run = await store.hold();
    same(run.executionCount, 1);
    await store.park(run, { wakeAt: 0 });
    const second = await store.take(run.id);
    same(second.executionCount, 2);
    await store.advance(store.leaseMs);
    same((await store.take(run.id)).executionCount, 3);
  },

  async "a worker that kept the execution goes on with it: no new one, nothing to replay"(store) {
    const run = await store.hold({}, { workerId: "me" });
    await store.ok(store.write(run, { tasks: [task("t", 1)], logs: [line(1)] }));
    const { epoch } = await store.park(run, { wakeAt: 0, keep: true });
    const request = { jobIds: [run.jobId], workerId: "me" };
    const claimed = present((await store.claim(request)).runs[0], "claimed run");
    has(claimed, { kept: true, tasks: [], logCounts: {} });
    has(claimed.run, { executionCount: 1, epoch: epoch + 1 });
  },

  async "for another worker it is a new execution"(store) {
    const run = await store.hold({}, { workerId: "me" });
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    await store.park(run, { wakeAt: 0, keep: true });
    const request = { jobIds: [run.jobId], workerId: "you" };
    const claimed = present((await store.claim(request, store.b)).runs[0], "claimed run");
    has(claimed, { kept: false, tasksComplete: true });
    same(
      claimed.tasks.map(({ path }) => path),
      ["t"],
    );
    has(claimed.run, { executionCount: 2 });
  },

  async "records count, whatever a release said about the start of the run"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    const patch = { status: "PENDING", startedAt: null, executionCount: 0, lastSeq: 1 } as const;
    await store.ok(store.write(run, { run: patch, release: { wakeAt: 0, wakeSignals: 1 } }));
    const again = await store.take(run.id);
    const { result } = await store.commit(store.write(again, { tasks: [task("t", 2)] }));
    same(result, "rejected");
    same(await store.tasks(run.id), [plain(task("t", 1))], "tasks");
  },

  async "an execution is kept for one claim only"(store) {
    const run = await store.hold({}, { workerId: "me" });
    await store.park(run, { wakeAt: 0, keep: true });
    const request = { jobIds: [run.jobId], workerId: "me" };
    const again = present((await store.claim(request)).runs[0], "claimed run");
    await store.park(again.run, { wakeAt: 0 });
    has((await store.claim(request)).runs[0], { kept: false });
    await store.advance(store.leaseMs);
    has((await store.claim(request)).runs[0], { kept: false });
  },

  async "an outsider's write ends what was kept"(store) {
    const run = await store.hold({}, { workerId: "me" });
    await store.park(run, { wakeAt: null, keep: true });
    await store.ok(store.outside(run.id, { release: { wakeAt: 0, wakeSignals: 0 } }));
    const request = { jobIds: [run.jobId], workerId: "me" };
    has((await store.claim(request)).runs[0], { kept: false });
  },

  async "a claim over a lapsed lease counts a stall if nothing was recorded"(store) {
    const run = await store.hold();
    same(run.stalls, 0);
    await store.advance(store.leaseMs);
    same((await store.take(run.id)).stalls, 1);
    await store.advance(store.leaseMs);
    const second = await store.take(run.id);
    same(second.stalls, 2);
    await store.ok(store.write(second, { tasks: [task("a", 1), task("b", 2)] }));
    await store.advance(store.leaseMs);
    has(await store.take(run.id), { stalls: 0, lastSeq: 2 }, "after records");
    await store.advance(store.leaseMs);
    has(await store.take(run.id), { stalls: 1, lastSeq: 2 }, "without new ones");
  },

  async "a claim after a release leaves stalls and lastSeq as the release wrote them"(store) {
    const run = await store.hold();
    const parts = { tasks: [task("t", 1)], run: { stalls: 1, lastSeq: 1, executionCount: 7 } };
    await store.park(run, { wakeAt: 0 }, parts);
    has(await store.take(run.id), { stalls: 1, lastSeq: 1, executionCount: 8 });
  },

  async "no more suspects are claimed than asked for, and they hold nobody up"(store) {
    const jobId = "job";
    const runs = [
      await store.hold({ jobId }),
      await store.hold({ jobId }),
      await store.hold({ jobId }),
    ];
    for (const run of runs) await store.park(run, { wakeAt: 0 }, { run: { stalls: 2 } });
    const sound = await store.create({ jobId, wakeAt: 9 });
    const stalls = async (suspects: 0 | 1, limit: number) =>
      (await store.claim({ jobIds: [jobId], suspects, limit })).runs.map(({ run }) => run.stalls);
    same(await store.claimIds({ jobIds: [jobId], suspects: 0 }), [sound], "none wanted");
    same(await stalls(0, 9), [], "none wanted, none left");
    same(await stalls(1, 9), [2], "one wanted");
    same(await stalls(1, 9), [2], "one more");
  },
});

export const logs = topic("log lines", {
  async "lines are kept in the order in which they came"(store) {
    const run = await store.hold();
    const data = '{"a": [1]}';
    await store.ok(
      store.write(run, { logs: [line(1), line(2, { stream: "t 1", path: "t", data })] }),
    );
    await store.ok(store.write(run, { tasks: [task("t", 1)], logs: [line(3, { at: 0 })] }));
    await store.settleReads();
    const lines = await store.a.listLogs(run.id, { limit: 10 });
    same(
      lines.map(({ position: _, ...rest }) => rest),
      [line(1), line(2, { stream: "t 1", path: "t", data }), line(3, { at: 0 })].map((each) => ({
        ...each,
        epoch: run.epoch,
      })),
    );
    const positions = lines.map(({ position }) => position);
    same(
      [...new Set(positions)].sort((x, y) => x - y),
      positions,
      "ascending positions",
    );
  },

  async "a line that comes again is one; under the next epoch it is another"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { logs: [line(1), line(2)] }));
    await store.ok(store.write(run, { logs: [line(2), line(3)] }));
    await store.park(run, { wakeAt: 0 });
    const next = await store.take(run.id);
    await store.ok(store.write(next, { logs: [line(1)] }));
    await store.settleReads();
    same(
      (await store.a.listLogs(run.id, { limit: 10 })).map(({ ordinal }) => ordinal),
      [1, 2, 3, 1],
    );
  },

  async "lines are read page by page"(store) {
    const run = await store.hold();
    const all = Array.from({ length: 7 }, (_, n) => line(n + 1));
    await store.ok(store.write(run, { logs: all }));
    await store.settleReads();
    const seen: number[] = [];
    let after: number | undefined;
    for (let page = 0; page < 4; page += 1) {
      const lines = await store.a.listLogs(run.id, { after, limit: 3 });
      seen.push(...lines.map(({ ordinal }) => ordinal));
      after = lines.at(-1)?.position ?? after;
    }
    same(seen, [1, 2, 3, 4, 5, 6, 7]);
  },

  async "a run without lines, and one that does not exist, have none"(store) {
    const id = await store.create();
    same(await store.a.listLogs(id, { limit: 5 }), []);
    same(await store.a.listLogs("nobody", { limit: 5 }), []);
  },
});
