import { has, same, sameSet, that } from "./check.js";
import { task } from "./samples.js";
import { topic } from "./topic.js";

export const deadlines = topic("S11: no deadline goes unnoticed", {
  async "every claim tells the runs of any job that are past their deadline"(store) {
    const deadlineAt = await store.in(10);
    const parked = await store.create({ wakeAt: null, deadlineAt });
    const held = await store.hold({ maxDurationMs: 10 });
    await store.create({ deadlineAt: deadlineAt + 20 });
    await store.advance(9);
    same((await store.claim({ jobIds: ["none"] })).overdue, [], "before");
    await store.advance(2);
    sameSet((await store.claim({ jobIds: ["none"] }, store.b)).overdue, [parked, held.id]);
  },

  async "a run that is over is not overdue"(store) {
    const run = await store.hold({ maxDurationMs: 10 });
    await store.finish(run);
    await store.advance(11);
    same((await store.claim({})).overdue, []);
  },

  async "every claim tells the earliest deadline of any job"(store) {
    const sooner = await store.in(10);
    await store.create({ wakeAt: null, deadlineAt: sooner + 5 });
    await store.create({ wakeAt: null, deadlineAt: sooner, jobId: "other" });
    same((await store.claim({ jobIds: ["third"] })).nextDeadline, sooner, "earliest deadline");
  },

  async "the claim that starts a run puts its end in place of its deadline"(store) {
    const id = await store.create({ deadlineAt: await store.in(5), maxDurationMs: 1_000 });
    const first = await store.take(id);
    same(first.deadlineAt, (first.startedAt ?? 0) + 1_000, "deadline");
    await store.advance(store.leaseMs);
    same((await store.take(id)).deadlineAt, first.deadlineAt, "deadline at the next claim");
  },

  async "the claim that starts a run without a longest duration removes its deadline"(store) {
    const id = await store.create({ deadlineAt: await store.in(5) });
    same((await store.take(id)).deadlineAt, null, "deadline");
    await store.advance(6);
    same((await store.claim({})).overdue, []);
  },

  async "a leased creation starts the run, too"(store) {
    const lease = { workerId: "me", leaseMs: store.leaseMs };
    const id = await store.create({ lease, maxDurationMs: 7, deadlineAt: 3 });
    const run = await store.get(id);
    same(run.deadlineAt, (run.startedAt ?? 0) + 7, "deadline");
  },

  async "a write sets and removes a deadline"(store) {
    const run = await store.hold();
    const deadlineAt = await store.in(5);
    await store.ok(store.write(run, { run: { deadlineAt, maxDurationMs: 99 } }));
    has(await store.get(run.id), { deadlineAt, maxDurationMs: 99 });
    await store.advance(6);
    same((await store.claim({})).overdue, [run.id]);
    await store.ok(store.write(run, { run: { deadlineAt: null } }));
    same((await store.claim({})).overdue, []);
  },

  async "no more than a hundred are told at once"(store) {
    const groups = Array.from({ length: 120 }, () => ({
      first: store.newRun({ wakeAt: null, deadlineAt: 1 }),
    }));
    await store.createElement({ groups });
    const { overdue } = await store.claim({});
    same(overdue.length, 100, "number of overdue runs");
    same(new Set(overdue).size, 100, "number of different ones");
    that(
      overdue.every((id) => groups.some(({ first }) => first.id === id)),
      "all are overdue",
    );
  },
});

export const frugality = topic("S12: a commit of task records leaves the run row alone", {
  async "the run reads the same before and after"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("t", 1), task("u", 2)] }));
    same(await store.get(run.id), run);
  },

  async "the run's own last write is still recognised after it"(store) {
    const run = await store.hold();
    const write = store.write(run, { run: { tags: ["first"] } });
    await store.ok(write);
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    await store.ok({ ...write, run: { tags: ["second"] } });
    has(await store.get(run.id), { tags: ["first"] });
  },
});
