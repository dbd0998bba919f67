import { openStatuses } from "../../core/run-status.js";
import { has, same, that } from "./check.js";
import { task } from "./samples.js";
import { topic } from "./topic.js";

export const guards = topic("S2: every part of a guard holds when the element is durable", {
  async "a wrong epoch is fenced and changes nothing"(store) {
    const run = await store.hold();
    const before = await store.get(run.id);
    const result = await store.commit(
      store.write(
        { id: run.id, epoch: run.epoch - 1 },
        { tasks: [task("t", 1)], run: { tags: ["x"] } },
      ),
    );
    has(result, {
      result: "fenced",
      epoch: run.epoch,
      status: "EXECUTING",
      leaseUntil: run.leaseUntil,
    });
    same(await store.get(run.id), before, "run");
    same(await store.tasks(run.id), [], "tasks");
  },

  async "the last holder is fenced as soon as another one has the run"(store) {
    const run = await store.hold();
    await store.advance(store.leaseMs);
    const next = await store.take(run.id, { workerId: "second" }, store.b);
    const late = await store.commit(store.write(run, { tasks: [task("t", 1)] }));
    has(late, { result: "fenced", epoch: next.epoch });
    same(await store.tasks(run.id), [], "tasks");
    await store.ok(store.write(next, { tasks: [task("t", 1)] }));
  },

  async "a lapsed lease that nobody has taken is still its holder's"(store) {
    const run = await store.hold();
    await store.advance(5 * store.leaseMs);
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    await store.finish(run);
    has(await store.get(run.id), { status: "COMPLETED" });
  },

  async "a lapsed lease of a run without limit keys can be extended"(store) {
    const run = await store.hold();
    await store.advance(2 * store.leaseMs);
    const leaseUntil = await store.in(store.leaseMs);
    const result = await store.ok(store.write(run, { leaseUntil }));
    has(result, { leaseUntil, epoch: run.epoch, leaseRefused: undefined });
    same(await store.claimJobOf(run.id, {}, store.b), [], "claimed by another");
  },

  async "an extended lease keeps others away until its end"(store) {
    const run = await store.hold();
    const leaseUntil = await store.in(3 * store.leaseMs);
    await store.ok(store.write(run, { tasks: [task("t", 1)], leaseUntil }));
    await store.advance(3 * store.leaseMs - 1);
    same(await store.claimJobOf(run.id, {}, store.b), [], "before the end");
    await store.advance(1);
    same(await store.claimJobOf(run.id, {}, store.b), [run.id], "at the end");
  },

  async "an extension never makes a lease shorter"(store) {
    const run = await store.hold();
    const result = await store.ok(store.write(run, { leaseUntil: await store.in(1) }));
    same(result.leaseUntil, run.leaseUntil, "leaseUntil");
  },

  async "a status that is not named is a conflict"(store) {
    const run = await store.hold();
    const parts = { run: { status: "CANCELED" } } as const;
    const refused = await store.commit(
      store.outside(run.id, { ...parts, guard: { statuses: ["PENDING", "WAITING"] } }),
    );
    has(refused, { result: "conflict", status: "EXECUTING", epoch: run.epoch });
    has(await store.get(run.id), { status: "EXECUTING", epoch: run.epoch });
    await store.ok(store.outside(run.id, { ...parts, guard: { statuses: [...openStatuses] } }));
  },

  async "an inbox that has moved on is a conflict and tells where it is"(store) {
    const run = await store.hold();
    await store.send(run.id);
    await store.send(run.id);
    const refused = await store.commit(
      store.write(run, { guard: { epoch: run.epoch, inbox: 1 }, tasks: [task("t", 1)] }),
    );
    has(refused, { result: "conflict", inbox: 2 });
    same(await store.tasks(run.id), [], "tasks");
    await store.ok(
      store.write(run, { guard: { epoch: run.epoch, inbox: 2 }, tasks: [task("t", 1)] }),
    );
  },

  async "a generation that has moved on is a conflict"(store) {
    const run = await store.hold();
    await store.finish(run);
    const { generation } = await store.get(run.id);
    await store.ok(
      store.outside(run.id, {
        guard: { statuses: ["COMPLETED"], generation },
        reopen: true,
        run: { status: "PENDING", finishedAt: null },
        release: { wakeAt: 0, wakeSignals: 0 },
      }),
    );
    const late = { run: { status: "CANCELED" } } as const;
    const refused = await store.commit(store.outside(run.id, { ...late, guard: { generation } }));
    has(refused, { result: "conflict", status: "PENDING" });
    has(await store.get(run.id), { status: "PENDING", generation: generation + 1 });
    const now = { generation: generation + 1 };
    await store.ok(store.outside(run.id, { ...late, guard: now }));
  },

  async "missing goes before everything, final before fenced, fenced before conflict"(store) {
    const guard = { epoch: 99, statuses: ["PENDING"], inbox: 99 } as const;
    const run = await store.hold();
    const parts = { guard, tasks: [task("t", 1)] };
    has(await store.commit(store.outside("nobody", parts)), {
      result: "missing",
      epoch: 0,
      status: "PENDING",
      inbox: 0,
      leaseUntil: null,
    });
    same((await store.commit(store.outside(run.id, parts))).result, "fenced");
    await store.finish(run);
    same((await store.commit(store.outside(run.id, parts))).result, "final");
  },

  async "a conflict goes before a refusal"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    const guard = { epoch: run.epoch, inbox: 1 };
    const { result } = await store.commit(store.write(run, { guard, tasks: [task("t", 2)] }));
    same(result, "conflict");
  },

  async "an outsider's write raises the epoch, ends the lease and fences the holder"(store) {
    const run = await store.hold();
    const result = await store.ok(
      store.outside(run.id, { run: { tags: ["new"] }, release: { wakeAt: 0, wakeSignals: 0 } }),
    );
    that(result.epoch > run.epoch, "the epoch is raised");
    has(await store.get(run.id), { leaseUntil: null, epoch: result.epoch, tags: ["new"] });
    const late = await store.commit(store.write(run, { tasks: [task("t", 1)] }));
    has(late, { result: "fenced", epoch: result.epoch });
    const end = await store.ok(
      store.outside(run.id, { run: { status: "CANCELED", finishedAt: 1 } }),
    );
    that(end.epoch > result.epoch, "the epoch is raised by its end, too");
  },

  async "an outsider's write of signals and values only leaves epoch and lease"(store) {
    const run = await store.hold();
    const signal = { runId: run.id, id: "s", topic: "t", ref: null };
    await store.ok(
      store.outside(run.id, { signals: [signal], values: [{ key: "k", value: "v" }] }),
    );
    has(await store.get(run.id), { epoch: run.epoch, leaseUntil: run.leaseUntil });
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
  },

  async "of two that complete the same waiting run only one does"(store) {
    const ids = await store.createMany(Array.from({ length: 20 }, () => ({ wakeAt: null })));
    const completion = (id: string, output: string) =>
      store.outside(id, { guard: { statuses: ["PENDING"] }, run: { status: "COMPLETED", output } });
    const [first, second] = await Promise.all([
      store.commitAll(
        ids.map((id) => completion(id, "first")),
        store.a,
      ),
      store.commitAll(
        ids.map((id) => completion(id, "second")),
        store.b,
      ),
    ]);
    for (const [index, id] of ids.entries()) {
      const winners = [first[index]?.result, second[index]?.result].filter((each) => each === "ok");
      same(winners.length, 1, "winners");
      const output = first[index]?.result === "ok" ? "first" : "second";
      same((await store.get(id)).output, output, "output");
    }
  },

  async "what a holder was told is recorded is there, however the run is taken from it"(store) {
    const runs = await Promise.all(Array.from({ length: 20 }, () => store.hold()));
    await store.advance(store.leaseMs);
    const jobIds = runs.map(({ jobId }) => jobId);
    const [results, claim] = await Promise.all([
      store.commitAll(
        runs.map((run) => store.write(run, { tasks: [task("t", 1)] })),
        store.a,
      ),
      store.claim({ workerId: "second", jobIds }, store.b),
    ]);
    for (const { run, tasks } of claim.runs) {
      const { result } = results[runs.findIndex(({ id }) => id === run.id)] ?? {};
      same(result, tasks.length === 1 ? "ok" : "fenced", "answer to the first holder");
    }
    // What somebody writes to at this moment may be left out; then nextDue says to come again.
    const claimed = [...claim.runs];
    for (let { nextDue, now } = claim; claimed.length < runs.length; ) {
      same(nextDue, now, "nextDue of a claim that left runs out");
      const next = await store.claim({ workerId: "second", jobIds }, store.b);
      claimed.push(...next.runs);
      ({ nextDue, now } = next);
    }
    same(claimed.length, runs.length, "claimed runs");
  },
});
