import { WATCH_TOPIC } from "../../core/storage.js";
import { has, present, same, sameSet } from "./check.js";
import { task } from "./samples.js";
import { topic } from "./topic.js";

export const signals = topic("S9: a signal is added once, whatever its target is doing", {
  async "a repeated signal is one"(store) {
    const run = await store.create({ wakeAt: null });
    await store.send(run, { id: "s", topic: "first" });
    await store.send(run, { id: "s", topic: "second" });
    has(await store.get(run), { inbox: 1 });
    same(await store.a.listSignals(run), [{ id: "s", topic: "first", ref: null }]);
  },

  async "the same id means something else to another run"(store) {
    const ids = await store.createMany([{ wakeAt: null }, { wakeAt: null }]);
    for (const id of ids) await store.send(id, { id: "s" });
    for (const id of ids) same(await store.signalIds(id), ["s"]);
  },

  async "a signal is kept as it was sent"(store) {
    const run = await store.create({ wakeAt: null });
    const sent = [
      { id: "a", topic: "topic with spaces/and $", ref: '{"ref": "ünï"}' },
      { id: "b", topic: "t", ref: "" },
      { id: "c", topic: "t", ref: null },
    ];
    for (const signal of sent) await store.send(run, signal);
    same(await store.a.listSignals(run), sent);
  },

  async "signals are listed oldest first"(store) {
    const run = await store.create({ wakeAt: null });
    for (const id of ["c", "a", "b"]) await store.send(run, { id });
    same(await store.signalIds(run), ["c", "a", "b"]);
  },

  async "a signal raises the inbox of a run in any status and changes nothing else of it"(store) {
    const pending = await store.create({ wakeAt: null });
    const held = await store.hold();
    const over = await store.hold();
    await store.finish(over);
    for (const id of [pending, held.id, over.id]) {
      const before = await store.get(id);
      await store.send(id);
      same(await store.get(id), { ...before, inbox: before.inbox + 1 });
      same((await store.signalIds(id)).length, 1, "number of signals");
    }
    await store.ok(store.write(held, { tasks: [task("t", 1)] }));
  },

  async "the answer to a record tells of a signal that came since the last one, alone and in a batch"(
    store,
  ) {
    const [alone, ...together] = [await store.hold(), await store.hold(), await store.hold()];
    for (const seq of [1, 2]) {
      for (const runs of [[present(alone, "run")], together]) {
        const writes = runs.map((run) => store.write(run, { tasks: [task(`t${seq}`, seq)] }));
        for (const answer of await store.commitAll(writes))
          has(answer, { result: "ok", inbox: seq - 1 });
        for (const { id } of runs) await store.send(id, {}, store.b);
      }
    }
  },

  async "a claim does not mark signals as read"(store) {
    const run = await store.hold();
    const sent = await store.send(run.id);
    await store.advance(store.leaseMs);
    const { runs } = await store.claim({ jobIds: [run.jobId] });
    same(
      runs[0]?.signals.map(({ id }) => id),
      [sent],
    );
    same(await store.signalIds(run.id), [sent]);
  },

  async "what the holder read is listed no more, also when it comes again"(store) {
    const run = await store.hold();
    for (const id of ["a", "b"]) await store.send(run.id, { id });
    await store.ok(store.write(run, { signalsRead: ["a", "never came"] }));
    await store.send(run.id, { id: "a" });
    same(await store.signalIds(run.id), ["b"]);
    has(await store.get(run.id), { inbox: 2 });
  },

  async "a signal that is read twice does not take the next one with it"(store) {
    const run = await store.hold();
    const watches = [{ targetId: run.id, signalId: "w", topic: "t" }];
    const sender = await store.sender();
    await store.ok(store.outside(sender, { watches }));
    await store.send(run.id, { id: "a" });
    const signalsRead = ["a", `${sender} w`];
    for (let time = 0; time < 2; time += 1) await store.ok(store.write(run, { signalsRead }));
    await store.park(run);
    await store.send(run.id, { id: "b" });
    same(await store.claimJobOf(run.id), [run.id]);
  },

  async "signals that are sent at the same time are all there"(store) {
    const run = await store.create({ wakeAt: null });
    const senders = await store.createMany(Array.from({ length: 20 }, () => ({ wakeAt: null })));
    await Promise.all(
      senders.map((id, n) => {
        const signal = { runId: run, id, topic: "t", ref: null };
        return store.ok(store.outside(id, { signals: [signal] }), n % 2 ? store.a : store.b);
      }),
    );
    sameSet(await store.signalIds(run), senders);
    has(await store.get(run), { inbox: 20 });
  },
});

export const watches = topic("S9: a watch is a signal to the watcher when the target ends", {
  async "a watch stands in the target's inbox, once, and says whom to tell"(store) {
    const target = await store.create({ wakeAt: null });
    const watcher = await store.hold();
    const watch = { targetId: target, signalId: "done", topic: "child" };
    await store.ok(store.write(watcher, { watches: [watch] }));
    await store.ok(store.write(watcher, { watches: [watch] }));
    has(await store.get(target), { inbox: 1 });
    const [found, ...more] = await store.a.listSignals(target);
    same(more, [], "more");
    has(found, { id: `${watcher.id} done`, topic: WATCH_TOPIC });
    const ref: unknown = JSON.parse(present(found?.ref, "ref"));
    same(ref, { watcherId: watcher.id, signalId: "done", topic: "child" });
    same(await store.signalIds(watcher.id), [], "signals of the watcher");
  },

  async "a watch counts in a claim's answer, not among unread signals"(store) {
    const target = await store.hold();
    const sender = await store.sender();
    const watches = [{ targetId: target.id, signalId: "s", topic: "t" }];
    await store.ok(store.outside(sender, { watches }));
    await store.park(target);
    same(await store.claimJobOf(target.id), [], "with the watch only");
    await store.send(target.id, { id: "unread" });
    const { runs } = await store.claim({ jobIds: [target.jobId] });
    const ids = runs[0]?.signals.map(({ id }) => id);
    same(ids, [`${sender} s`, "unread"]);
  },

  async "a watch on a run that is over is answered at once, and its watcher is due"(store) {
    const target = await store.hold();
    await store.finish(target);
    const before = await store.get(target.id);
    const watcher = await store.hold();
    const watches = [{ targetId: target.id, signalId: "done", topic: "child" }];
    await store.park(watcher, {}, { watches });
    const { runs } = await store.claim({ jobIds: [watcher.jobId] });
    same(
      runs[0]?.signals.map(({ id, topic }) => ({ id, topic })),
      [{ id: "done", topic: "child" }],
    );
    same(await store.get(target.id), before, "target");
  },

  async "a watch on a run that does not exist is answered at once"(store) {
    const watcher = await store.hold();
    const watches = [{ targetId: "nobody", signalId: "done", topic: "child" }];
    await store.ok(store.write(watcher, { watches }));
    same(await store.signalIds(watcher.id), ["done"]);
    has(await store.get(watcher.id), { inbox: 1 });
  },

  async "between a watch and the end of its target nothing is lost"(store) {
    const targets = await Promise.all(Array.from({ length: 20 }, () => store.hold()));
    const watchers = await Promise.all(targets.map(() => store.hold()));
    const [, ends] = await Promise.all([
      store.commitAll(
        watchers.map((run, n) => {
          const watch = { targetId: targets[n]?.id ?? "", signalId: "done", topic: "child" };
          return store.write(run, { watches: [watch] });
        }),
        store.a,
      ),
      store.commitAll(
        targets.map((run) => {
          const guard = { epoch: run.epoch, inbox: 0 };
          return store.write(run, { guard, run: { status: "COMPLETED", finishedAt: 1 } });
        }),
        store.b,
      ),
    ]);
    for (const [n, watcher] of watchers.entries()) {
      const told = (await store.signalIds(watcher.id)).length === 1;
      same(ends[n]?.result, told ? "ok" : "conflict", "end of the target");
    }
  },
});
