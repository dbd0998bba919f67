import { present, same, sameSet, that } from "./check.js";
import { line, task } from "./samples.js";
import { topic } from "./topic.js";

export const claims = topic("S6: two claimers never get one run under one epoch", {
  async "a claim says who holds the run, since when and until when"(store) {
    const id = await store.create();
    const before = await store.get(id);
    const { now, runs } = await store.claim({ jobIds: [before.jobId], workerId: "me" });
    const { run, ...rest } = present(runs[0], "claimed run");
    const nothing = { signals: [], tasks: [], tasksComplete: true, kept: false, logCounts: {} };
    same(rest, nothing, "what there is to go on with");
    same(run, {
      ...before,
      status: "EXECUTING",
      epoch: before.epoch + 1,
      workerId: "me",
      leaseUntil: now + store.leaseMs,
      dueAt: now + store.leaseMs,
      executionCount: 1,
      startedAt: now,
    });
    same(await store.get(id), run, "run as read");
  },

  async "every claim raises the epoch, and the first one sets the start"(store) {
    const first = await store.hold();
    await store.advance(store.leaseMs);
    const second = await store.take(first.id);
    const { epoch } = await store.park(second, { wakeAt: 0 });
    const third = await store.take(first.id);
    that(first.epoch < second.epoch && second.epoch < epoch, "claim and release raise the epoch");
    same(third.epoch, epoch + 1, "epoch of the next claim");
    same(third.startedAt, first.startedAt, "start");
  },

  async "a live lease keeps all others away, also those who ask for the run by name"(store) {
    const run = await store.hold();
    await store.advance(store.leaseMs - 1);
    same(await store.claimJobOf(run.id, {}, store.b), [], "by job");
    const only = [run.id];
    same(await store.claimJobOf(run.id, { only }, store.b), [], "by name");
    await store.advance(1);
    same(await store.claimJobOf(run.id, { only }, store.b), only, "by name, at its end");
  },

  async "many claimers at once share the runs out"(store) {
    const jobIds = ["job"];
    const ids = await store.createMany(Array.from({ length: 40 }, () => ({ jobId: "job" })));
    const claimed = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        store.claimIds({ jobIds, limit: 5, workerId: `w${n}` }, n % 2 ? store.a : store.b),
      ),
    );
    sameSet(claimed.flat(), ids);
    for (const each of claimed) that(each.length <= 5, "no claimer gets more than it asked for");
  },

  async "many claimers of one run: one gets it"(store) {
    for (let round = 0; round < 10; round += 1) {
      const id = await store.create();
      const claimed = await Promise.all(
        Array.from({ length: 6 }, (_, n) =>
          store.claimJobOf(id, { workerId: `w${n}`, only: [id] }, n % 2 ? store.a : store.b),
        ),
      );
      same(claimed.flat(), [id]);
    }
  },

  async "only runs of the given jobs are taken, and none for no jobs"(store) {
    const [mine = "", also = ""] = await store.createMany([
      { jobId: "mine" },
      { jobId: "also" },
      { jobId: "theirs" },
    ]);
    same(await store.claimIds({ jobIds: [] }), []);
    sameSet(await store.claimIds({ jobIds: ["mine", "also", "unheard-of"] }), [mine, also]);
  },

  async "runs by name are taken before their time, and those that cannot be are left out"(store) {
    const jobId = "job";
    const over = await store.hold({ jobId });
    await store.finish(over);
    const parked = await store.create({ jobId, wakeAt: null });
    const later = await store.create({ jobId, wakeAt: await store.in(store.leaseMs) });
    const due = await store.create({ jobId });
    const only = [over.id, later, "nobody", parked];
    const first = await store.claimIds({ jobIds: [jobId], only, limit: 1 });
    const second = await store.claimIds({ jobIds: [jobId], only, limit: 5 });
    same([first.length, second.length], [1, 1], "numbers of runs");
    sameSet([...first, ...second], [parked, later]);
    same(await store.claimIds({ jobIds: [jobId] }), [due], "what was not named");
  },
});

export const claimOrder = topic("S6: a claim takes runs in order", {
  async "internal runs go first, whatever the others' priority"(store) {
    const ids = await store.createMany([
      { jobId: "job", priority: 100, wakeAt: 1 },
      { jobId: "$event", wakeAt: 2 },
    ]);
    const jobIds = ["job", "$event"];
    same(await store.claimIds({ jobIds, limit: 1 }), ids.slice(1));
    same(await store.claimIds({ jobIds, limit: 1 }), ids.slice(0, 1));
  },

  async "then goes priority, greater first, negative ones last"(store) {
    const jobId = "job";
    const [low, high, none] = await store.createMany([
      { jobId, priority: -1, wakeAt: 1 },
      { jobId, priority: 10, wakeAt: 3 },
      { jobId, wakeAt: 2 },
    ]);
    for (const id of [high, none, low])
      same(await store.claimIds({ jobIds: [jobId], limit: 1 }), [id]);
  },

  async "then go runs that have started before, then those that are due for longer"(store) {
    const jobId = "job";
    const started = await store.hold({ jobId });
    await store.park(started, { wakeAt: 9 });
    const [second, first] = await store.createMany([
      { jobId, wakeAt: 2 },
      { jobId, wakeAt: 1 },
    ]);
    for (const id of [started.id, first, second])
      same(await store.claimIds({ jobIds: [jobId], limit: 1 }), [id]);
  },

  async "jobs do not stand in line for each other"(store) {
    const [b, a, c] = await store.createMany([
      { jobId: "x", wakeAt: 2 },
      { jobId: "y", wakeAt: 1 },
      { jobId: "x", wakeAt: 3 },
    ]);
    const jobIds = ["x", "y"];
    for (const id of [a, b, c]) same(await store.claimIds({ jobIds, limit: 1 }), [id]);
  },

  async "a changed priority counts at once"(store) {
    const jobId = "job";
    const [first = "", second = ""] = await store.createMany([
      { jobId, wakeAt: 1 },
      { jobId, wakeAt: 2 },
    ]);
    const release = { wakeAt: 2, wakeSignals: 0 };
    await store.ok(store.outside(second, { run: { priority: 5 }, release }));
    same(await store.claimIds({ jobIds: [jobId], limit: 1 }), [second]);
    same(await store.claimIds({ jobIds: [jobId], limit: 1 }), [first]);
  },
});

export const claimAnswers = topic("S6: what a claim answers", {
  async "everything that is needed to go on: tasks, unread signals, counts of log lines"(store) {
    const run = await store.hold();
    await store.send(run.id, { id: "read" });
    await store.send(run.id, { id: "unread" });
    await store.ok(
      store.write(run, {
        tasks: [task("t", 1)],
        signalsRead: ["read"],
        logs: [line(1), line(2, { stream: "t 1" }), line(3, { stream: "t 1" })],
      }),
    );
    await store.park(run, { wakeAt: 0 });
    const { runs } = await store.claim({ jobIds: [run.jobId], workerId: "second" });
    const claimed = present(runs[0], "claimed run");
    same(
      claimed.tasks.map(({ path }) => path),
      ["t"],
      "tasks",
    );
    same(claimed.tasksComplete, true, "tasksComplete");
    same(
      claimed.signals.map(({ id }) => id),
      ["unread"],
      "signals",
    );
    same(claimed.logCounts, { main: 1, "t 1": 2 }, "logCounts");
    same(claimed.kept, false, "kept");
  },

  async "tasks up to the budget, the rest by listTasks"(store) {
    const run = await store.hold();
    const output = "x".repeat(1_000);
    const tasks = Array.from({ length: 20 }, (_, n) => task(`t${n + 1}`, n + 1, { output }));
    await store.ok(store.write(run, { tasks }));
    await store.park(run, { wakeAt: 0 });
    const request = { jobIds: [run.jobId], workerId: "second", taskBudget: 5_000 };
    const claimed = present((await store.claim(request)).runs[0], "claimed run");
    same(claimed.tasksComplete, false, "tasksComplete");
    that(claimed.tasks.length < 10, "the budget is kept, about");
    const seqs = claimed.tasks.map(({ seq }) => seq);
    const rest = await store.a.listTasks(run.id, seqs.at(-1) ?? 0, 1_000_000);
    same(
      [...seqs, ...rest.tasks.map(({ seq }) => seq)],
      tasks.map(({ seq }) => seq),
      "seqs",
    );
  },

  async "nextDue is the next instant at which one of these jobs has a run that is due"(store) {
    const [soon, sooner] = [await store.in(500), await store.in(400)];
    await store.createMany([
      { jobId: "job", wakeAt: soon },
      { jobId: "job", wakeAt: null },
      { jobId: "parked", wakeAt: null },
      { jobId: "other", wakeAt: sooner },
    ]);
    same((await store.claim({ jobIds: ["job"] })).nextDue, soon, "of one job");
    same((await store.claim({ jobIds: ["job", "other"] })).nextDue, sooner, "of both");
    same((await store.claim({ jobIds: ["third", "parked"] })).nextDue, null, "of none");
  },

  async "nextDue is the end of a lease that others hold"(store) {
    const run = await store.hold();
    same((await store.claim({ jobIds: [run.jobId] }, store.b)).nextDue, run.leaseUntil);
  },

  async "nextDue is now if the limit cut the claim off"(store) {
    await store.createMany([{ jobId: "job" }, { jobId: "job" }]);
    const { now, nextDue } = await store.claim({ jobIds: ["job"], limit: 1 });
    same(nextDue, now);
  },
});
