import type { CommitResult, RunWrite, Storage } from "../../core/storage.js";
import { has, rejects, same, that } from "./check.js";
import type { Fixture } from "./fixture.js";
import { task } from "./samples.js";
import { topic } from "./topic.js";

/** A transaction that makes a run, and commits it together with the write. Answers the run's id, too. */
async function makeRunWith(
  { a, ...store }: { readonly a: Storage; readonly id: string; readonly fixture: Fixture },
  write: () => RunWrite,
): Promise<CommitResult> {
  const first = store.fixture.newRun({ id: store.id });
  const element = { createId: store.fixture.id("create"), groups: [{ first }] };
  const result = await a.commitWith?.((tx) => {
    const made = a.createRunsIn?.(tx, element);
    return made instanceof Promise ? made.then(write) : write();
  });
  if (result === undefined) throw new Error("The storage has no commitWith.");
  return result;
}

async function isThere({ b }: Fixture, id: string): Promise<boolean> {
  return (await b.getRuns([id]))[0] !== undefined;
}

export const transactions = topic(
  "E17: records in transactions of users",
  {
    async "what was written goes with the record"(store) {
      const run = await store.hold();
      const parts = { a: store.a, id: store.id("made"), fixture: store };
      const write = store.write(run, { tasks: [task("t", 1)] });
      const result = await makeRunWith(parts, () => write);
      has(result, { result: "ok", epoch: run.epoch, status: "EXECUTING", inbox: 0 });
      same((await store.tasks(run.id, store.b)).length, 1, "records");
      that(await isThere(store, parts.id), "the run is there");
      same(await store.claimJobOf(parts.id, {}, store.b), [parts.id], "claimed");
      await store.ok(store.write(run, { tasks: [task("u", 2)] }));
    },

    async "a record that is replaced goes, a completed one stays"(store) {
      const run = await store.hold();
      await store.ok(store.write(run, { tasks: [task("t", 1, { status: "WAITING", wakeAt: 5 })] }));
      const parts = { a: store.a, id: store.id("made"), fixture: store };
      const again = () => store.write(run, { tasks: [task("t", 2, { replaces: 1 })] });
      has(await makeRunWith(parts, again), { result: "ok" });
      const records = await store.tasks(run.id);
      same(
        records.map(({ seq, status }) => [seq, status]),
        [[2, "COMPLETED"]],
        "records",
      );
      const next = { ...parts, id: store.id("made") };
      const late = () => store.write(run, { tasks: [task("t", 3, { replaces: 2 })] });
      has(await makeRunWith(next, late), { result: "rejected" });
      same(await store.tasks(run.id), records, "records");
      that(!(await isThere(store, next.id)), "nothing was written");
    },

    async "a wrong epoch leaves nothing of what was written"(store) {
      const run = await store.hold();
      await store.advance(store.leaseMs);
      const next = await store.take(run.id, { workerId: "second" }, store.b);
      const parts = { a: store.a, id: store.id("made"), fixture: store };
      const result = await makeRunWith(parts, () => store.write(run, { tasks: [task("t", 1)] }));
      has(result, { result: "fenced", epoch: next.epoch });
      that(!(await isThere(store, parts.id)), "nothing was written");
      same(await store.tasks(run.id), [], "records");
    },

    async "so do a run that has ended, and one that is not there"(store) {
      const run = await store.hold();
      await store.finish(run);
      for (const [id, expected] of [
        [run.id, "final"],
        ["nobody", "missing"],
      ] as const) {
        const parts = { a: store.a, id: store.id("made"), fixture: store };
        const write = () => store.write({ id, epoch: run.epoch }, { tasks: [task("t", 1)] });
        has(await makeRunWith(parts, write), { result: expected });
        that(!(await isThere(store, parts.id)), "nothing was written");
      }
    },

    async "a seq that is taken is rejected, with all that was written"(store) {
      const run = await store.hold();
      await store.ok(store.write(run, { tasks: [task("t", 1)] }));
      const parts = { a: store.a, id: store.id("made"), fixture: store };
      const write = () => store.write(run, { tasks: [task("u", 1)] });
      has(await makeRunWith(parts, write), { result: "rejected" });
      that(!(await isThere(store, parts.id)), "nothing was written");
    },

    async "what the work throws comes back, and nothing is left"(store) {
      const run = await store.hold();
      const parts = { a: store.a, id: store.id("made"), fixture: store };
      const mine = new Error("mine");
      const failing = makeRunWith(parts, () => {
        throw mine;
      });
      const thrown = await failing.catch((error: unknown) => error);
      that(thrown === mine, "the error is the one that was thrown");
      that(!(await isThere(store, parts.id)), "nothing was written");
      await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    },

    async "runs are only made while a transaction is open"(store) {
      let left: unknown;
      const run = await store.hold();
      await store.a.commitWith?.((tx) => {
        left = tx;
        return store.write(run, { tasks: [task("t", 1)] });
      });
      const element = { createId: store.id("create"), groups: [{ first: store.newRun() }] };
      const late = async () => store.a.createRunsIn?.(left, element);
      await rejects(late, "TRANSACTION_NOT_OPEN");
    },

    async "a run that is there already is found, and makes no trouble for the rest"(store) {
      const run = await store.hold();
      const known = await store.create();
      const parts = { a: store.a, id: known, fixture: store };
      const write = () => store.write(run, { tasks: [task("t", 1)] });
      has(await makeRunWith(parts, write), { result: "ok" });
      same((await store.tasks(run.id)).length, 1, "records");
    },
  },
  ({ name, commitWith }) =>
    commitWith === undefined ? `${name} has no transactions of users` : undefined,
);
