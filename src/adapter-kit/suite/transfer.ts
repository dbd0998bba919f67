import type { RunQuery } from "../../core/storage.js";
import { has, rejects, same, sameSet, that } from "./check.js";
import { exported, importAll, moved, texts } from "./exported.js";
import type { Fixture } from "./fixture.js";
import { line, task } from "./samples.js";
import { topic } from "./topic.js";

/** One of everything. */
async function furnished(store: Fixture): Promise<void> {
  const full = {
    ...{ version: "2.0.0", payload: '{"p":1}', admitted: "admitted", priority: 3, isTest: true },
    ...{ tags: ["a", "b"], limitKeys: ["limit/x"], eventId: "event", parentId: "parent" },
    ...{ parentPath: "path", meta: "meta", state: "state", fingerprint: "print" },
    ...{ deadlineAt: await store.in(50 * store.leaseMs), maxDurationMs: 60 * store.leaseMs },
    ...{ idempotencyKey: "key", idempotencyExpiresAt: await store.in(70 * store.leaseMs) },
  };
  const held = await store.hold(full);
  const tasks = [
    task("done", 1, { data: "data", error: "error" }),
    task("open", 2, { status: "WAITING", topics: ["t", "u"], filter: "filter", wakeAt: 9 }),
  ];
  await store.ok(store.write(held, { tasks, logs: [line(1, { data: "d" }), line(2)] }));
  const parked = await store.hold();
  await store.park(parked, { wakeAt: await store.in(store.leaseMs), wakeSignals: 2 });
  const read = await store.send(held.id, { ref: "ref" });
  await store.send(held.id);
  await store.send(parked.id);
  await store.ok(store.write(held, { signalsRead: [read] }));
  await store.ok(
    store.write(held, { watches: [{ targetId: parked.id, signalId: "s", topic: "w" }] }),
  );
  await store.create({ jobId: "$event", wakeAt: null, state: "internal" });
  const blocked = await store.hold();
  const release = { wakeAt: await store.in(1), wakeSignals: 0 };
  await store.ok(store.write(blocked, { run: { blocked: "why", status: "WAITING" }, release }));
  for (const status of ["COMPLETED", "FAILED", "CANCELED", "TIMED_OUT"] as const) {
    const run = await store.hold();
    const error = status === "COMPLETED" ? null : "failure";
    await store.ok(store.write(run, { run: { status, output: "output", error } }));
  }
  for (const status of ["INVALID_PAYLOAD", "UNRESOLVED_AUTH", "WAITING_ON_CONNECTIONS"] as const)
    await store.create({ status });
  await store.a.setValue("value", "1");
  await store.a.setValue("value", "2");
  await store.a.setValue("deleted", "1");
  await store.a.deleteValue("deleted");
  for (const columns of [{ jobId: "purged", idempotencyKey: "old" }, {}]) {
    const gone = await store.hold(columns);
    await store.ok(store.write(gone, { run: { status: "COMPLETED", finishedAt: 1 } }));
  }
  const dedupeUntil = await store.in(90 * store.leaseMs);
  await store.a.purge({ finishedBefore: 2, dedupeUntil, limit: 9 });
}

export const transfer = topic(
  "exportRuns and importRuns",
  {
    async "what is imported is what was exported"(store) {
      await furnished(store);
      const items = await exported(store.a);
      const kinds = ["run", "task", "signal", "log", "value", "tombstone", "key"];
      sameSet([...new Set(items.map(({ kind }) => kind))], kinds, "kinds");
      const other = await moved(store);
      sameSet(texts(await exported(other.b)), texts(items), "items");
    },

    async "imported again, nothing is doubled or changed"(store) {
      await furnished(store);
      const items = await exported(store.a);
      const other = await moved(store);
      await importAll(other.a, items);
      await other.a.importRuns?.(items);
      sameSet(texts(await exported(other.a)), texts(items), "items");
      same(await other.a.countRuns(), await store.a.countRuns(), "counts");
    },

    async "however small a page is, it goes on"(store) {
      await furnished(store);
      const whole = await exported(store.a, 100_000_000);
      const first = await store.a.exportRuns?.({ byteBudget: 1 });
      that((first?.items.length ?? 0) <= 1, "a small page has one item");
      same(texts(await exported(store.a, 1)), texts(whole), "items one by one");
    },

    async "what belongs to nothing is refused, with its whole call"(store) {
      await store.a.setValue("v", "1");
      const run = await store.hold();
      await store.ok(store.write(run, { tasks: [task("t", 1)] }));
      const other = await store.other();
      const items = (await exported(store.a)).filter(({ kind }) => kind !== "run");
      await rejects(async () => other.a.importRuns?.(items), "STORAGE_INVALID");
      same(await exported(other.a), [], "items");
    },

    async "a held run keeps its epoch and its lease, and is taken after that"(store) {
      const run = await store.hold();
      await store.ok(store.write(run, { tasks: [task("t", 1)] }));
      const other = await moved(store);
      has(await other.get(run.id), await store.get(run.id));
      same(await other.claimJobOf(run.id), [], "claimed too early");
      await other.advance(store.leaseMs);
      const taken = await other.take(run.id, { workerId: "second" });
      has(taken, { epoch: run.epoch + 1, stalls: 0, lastSeq: 1, executionCount: 2 });
    },

    async "a waiting run goes on at its time"(store) {
      const run = await store.hold();
      await store.park(run, { wakeAt: await store.in(store.leaseMs), wakeSignals: 0 });
      const other = await moved(store);
      same(await other.claimJobOf(run.id), [], "claimed too early");
      await other.advance(store.leaseMs);
      has(await other.take(run.id), { epoch: (await store.get(run.id)).epoch + 1 });
    },

    async "a run that waits for signals goes on after as many as it waits for"(store) {
      const run = await store.hold();
      await store.park(run, { wakeSignals: 2 });
      const first = await store.send(run.id);
      const other = await moved(store);
      same(await other.claimJobOf(run.id), [], "claimed too early");
      await other.send(run.id, { id: "second" });
      await other.take(run.id);
      same(await other.signalIds(run.id), [first, "second"]);
    },

    async "a signal comes once, also if it was read elsewhere"(store) {
      const run = await store.hold();
      const read = await store.send(run.id);
      await store.ok(store.write(run, { signalsRead: [read] }));
      const unread = await store.send(run.id);
      const other = await moved(store);
      await other.send(run.id, { id: read });
      await other.send(run.id, { id: unread });
      same(await other.signalIds(run.id), [unread]);
      has(await other.get(run.id), { inbox: 2 });
    },

    async "records are as good as those that were written here"(store) {
      const run = await store.hold();
      const open = task("open", 2, { status: "WAITING", topics: ["topic"] });
      await store.ok(store.write(run, { tasks: [task("done", 1), open] }));
      const other = await moved(store);
      const again = task("done", 3, { replaces: 1 });
      has(await other.commit(other.write(run, { tasks: [again] })), { result: "rejected" });
      same((await other.a.listWaiting(["topic"], { limit: 9 })).length, 1, "waits");
      await other.ok(other.write(run, { tasks: [task("open", 3, { replaces: 2 })] }));
      same((await other.a.listWaiting(["topic"], { limit: 9 })).length, 0, "waits");
      same((await other.tasks(run.id)).length, 2, "records");
    },

    async "idempotency keys stay taken until their time"(store) {
      const idempotencyExpiresAt = await store.in(store.leaseMs);
      const key = { jobId: "job", idempotencyKey: "key", fingerprint: "print" };
      const former = await store.create({ ...key, idempotencyKey: "moving", wakeAt: null });
      const id = await store.create({ ...key, idempotencyExpiresAt });
      const other = await moved(store);
      const holder = async (columns: object) => {
        const first = other.newRun({ ...columns, id: other.id("new") });
        const result = await other.createElement({ groups: [{ first }] });
        return result.result === "ok" ? result.groups[0]?.first : undefined;
      };
      has(await holder(key), { id, created: false, fingerprint: "print" });
      has(await holder({ ...key, idempotencyKey: "moving" }), { id: former, created: false });
      await other.advance(store.leaseMs);
      has(await holder(key), { created: true });
    },

    async "a key leads to the run that has it now"(store) {
      const key = { jobId: "job", idempotencyKey: "key", wakeAt: null };
      await store.create({ ...key, idempotencyExpiresAt: await store.in(1) });
      await store.advance(1);
      const newer = await store.create(key);
      const other = await moved(store);
      const result = await other.createElement({
        groups: [{ first: other.newRun({ ...key, id: "last" }) }],
      });
      has(result.result === "ok" ? result.groups[0]?.first : undefined, { id: newer });
    },

    async "ids and keys of purged runs stay taken until their time"(store) {
      const key = { jobId: "job", idempotencyKey: "key", fingerprint: "print" };
      const run = await store.hold(key);
      await store.ok(store.write(run, { run: { status: "COMPLETED", finishedAt: 1 } }));
      const query = { finishedBefore: 2, dedupeUntil: await store.in(store.leaseMs), limit: 9 };
      await store.a.purge(query);
      const other = await moved(store);
      const again = [
        other.newRun({ id: run.id, jobId: "else" }),
        other.newRun({ ...key, id: "n" }),
      ];
      for (const first of again) {
        const result = await other.createElement({ groups: [{ first }] });
        const answered = result.result === "ok" ? result.groups[0]?.first : undefined;
        has(answered, { id: run.id, created: false, fingerprint: "print" });
      }
      await other.advance(store.leaseMs);
      await other.a.purge(query);
      await other.create({ ...key, id: run.id });
    },

    async "values go on with their versions"(store) {
      await store.a.setValue("kept", "1");
      const { version } = await store.a.setValue("kept", "2");
      const gone = await store.a.setValue("gone", "1");
      await store.a.deleteValue("gone");
      const other = await moved(store);
      same(await other.a.getValue("kept"), { value: "2", version });
      same(await other.a.getValue("gone"), undefined);
      that((await other.a.setValue("kept", "3", version)).ok, "the version is the same");
      that((await other.a.setValue("gone", "2", 0)).version > gone.version, "versions rise");
    },

    async "lists, log and deadlines are there"(store) {
      const deadlineAt = await store.in(2 * store.leaseMs);
      const columns = { jobId: "job", tags: ["t"], eventId: "e", parentId: "p", wakeAt: null };
      const runs = await store.createMany([columns, columns]);
      const run = await store.hold({ deadlineAt });
      await store.ok(store.write(run, { logs: [line(1), line(2)] }));
      const other = await moved(store);
      const newestFirst = [...runs].reverse();
      const listed = async (query: Partial<RunQuery>) =>
        (await other.a.listRuns({ ...query, limit: 9 })).runs.map(({ id }) => id);
      for (const query of [{ jobIds: ["job"] }, { tag: "t" }, { eventId: "e" }, { parentId: "p" }])
        same(await listed(query), newestFirst, JSON.stringify(query));
      await other.ok(other.write(run, { logs: [line(2), line(3)] }));
      const log = await other.a.listLogs(run.id, { limit: 9 });
      same(
        log.map(({ ordinal }) => ordinal),
        [1, 2, 3],
        "log",
      );
      const { deadlineAt: moving } = await store.get(run.id);
      has(await other.claim({}), { nextDeadline: moving });
    },

    async "a slot stays taken as long as its lease"(store) {
      if (!store.a.capabilities.limits) return;
      const limitKeys = ["limit/x"];
      await store.hold({ limitKeys });
      const waiting = await store.create({ limitKeys });
      const other = await moved(store);
      const limits = { limit: 1 };
      same(await other.claimJobOf(waiting, { limits }), [], "claimed too early");
      await other.advance(store.leaseMs);
      same(await other.claimJobOf(waiting, { limits }), [waiting]);
    },

    async "what has ended is purged with all that belongs to it"(store) {
      const run = await store.hold({ tags: ["t"] });
      await store.ok(store.write(run, { tasks: [task("t", 1)], logs: [line(1)] }));
      await store.ok(store.write(run, { run: { status: "FAILED", finishedAt: 1 } }));
      const other = await moved(store);
      same(await other.a.purge({ finishedBefore: 2, dedupeUntil: 0, limit: 9 }), { purged: 1 });
      const left = (await exported(other.a)).filter(({ kind }) => kind !== "tombstone");
      same(left, [], "items");
      const { result } = await other.commit(other.outside(run.id, { values: [] }));
      same(result, "missing");
    },
  },
  ({ name, exportRuns, importRuns }) =>
    exportRuns === undefined || importRuns === undefined
      ? `${name} has no exportRuns and importRuns`
      : undefined,
);
