import { displayStatus } from "../../core/run-status.js";
import { NEVER, type RunRecord, type Storage } from "../../core/storage.js";
import { has, same, that } from "./check.js";
import type { Fixture } from "./fixture.js";
import { task } from "./samples.js";
import { topic } from "./topic.js";

export const due = topic("S8: a run is due when its time has come or its signals have", {
  async "a new run is due at its instant, not before"(store) {
    const id = await store.create({ wakeAt: await store.in(100) });
    await store.advance(99);
    same(await store.claimJobOf(id), [], "before");
    await store.advance(1);
    same(await store.claimJobOf(id), [id], "at the instant");
  },

  async "a run without an instant is never due"(store) {
    const id = await store.create({ wakeAt: null });
    has(await store.get(id), { dueAt: NEVER });
    await store.advance(1_000 * store.leaseMs);
    same(await store.claimJobOf(id), []);
  },

  async "a new run is not hurried by signals"(store) {
    const id = await store.create({ wakeAt: await store.in(100) });
    await store.send(id);
    same(await store.claimJobOf(id), []);
  },

  async "a parked run is due at its instant, not before"(store) {
    const run = await store.hold();
    const wakeAt = await store.in(3 * store.leaseMs);
    await store.park(run, { wakeAt, wakeSignals: 0 });
    has(await store.get(run.id), { dueAt: wakeAt, status: "WAITING", leaseUntil: null });
    await store.advance(3 * store.leaseMs - 1);
    same(await store.claimJobOf(run.id), [], "before");
    await store.advance(1);
    same(await store.claimJobOf(run.id), [run.id], "at the instant");
  },

  async "an instant of years ahead is kept to the millisecond"(store) {
    const wakeAt = await store.in(4_000_000_000_123);
    const id = await store.create({ wakeAt });
    has(await store.get(id), { dueAt: wakeAt });
  },

  async "a run that waits for one signal is due with the next one"(store) {
    const run = await store.hold();
    await store.park(run);
    same(await store.claimJobOf(run.id), [], "before");
    const sent = await store.send(run.id);
    const parked = await store.get(run.id);
    const now = await store.a.now();
    that(parked.dueAt !== null && parked.dueAt <= now, "dueAt has come");
    same(displayStatus(parked, now), "QUEUED", "status as displayed");
    const { runs } = await store.claim({ jobIds: [run.jobId] });
    same(
      runs[0]?.signals.map(({ id }) => id),
      [sent],
      "signals",
    );
  },

  async "a signal that came before the park makes the run due at once"(store) {
    const run = await store.hold();
    await store.send(run.id);
    await store.park(run);
    same(await store.claimJobOf(run.id), [run.id]);
  },

  async "a signal that the park itself read does not make the run due"(store) {
    const run = await store.hold();
    const read = await store.send(run.id);
    await store.park(run, {}, { signalsRead: [read] });
    same(await store.claimJobOf(run.id), []);
    await store.send(run.id, { id: read });
    same(await store.claimJobOf(run.id), [], "nor does its repetition");
  },

  async "a run that waits for three signals is due with the third"(store) {
    const run = await store.hold();
    await store.send(run.id);
    await store.park(run, { wakeSignals: 3 });
    await store.send(run.id, { id: "twice" });
    await store.send(run.id, { id: "twice" });
    same(await store.claimJobOf(run.id), [], "with two");
    await store.send(run.id);
    same(await store.claimJobOf(run.id), [run.id], "with three");
  },

  async "a run that waits for its time only is left alone by signals"(store) {
    const run = await store.hold();
    await store.send(run.id);
    await store.park(run, { wakeAt: await store.in(10), wakeSignals: 0 });
    await store.send(run.id);
    same(await store.claimJobOf(run.id), [], "before");
    await store.advance(10);
    same(await store.claimJobOf(run.id), [run.id], "at its time");
  },

  async "a watch makes no run due"(store) {
    const run = await store.hold();
    await store.park(run);
    const watches = [{ targetId: run.id, signalId: "s", topic: "t" }];
    await store.ok(store.outside(await store.sender(), { watches }));
    same(await store.claimJobOf(run.id), []);
  },

  async "a signal does not make a held run due, but it does at its release"(store) {
    const run = await store.hold();
    await store.send(run.id);
    has(await store.get(run.id), { dueAt: run.leaseUntil });
    same(await store.claimJobOf(run.id, {}, store.b), [], "while held");
    await store.park(run);
    same(await store.claimJobOf(run.id, {}, store.b), [run.id], "after the release");
  },

  async "a held run is due when its lease runs out, whatever it waited for before"(store) {
    const run = await store.hold();
    await store.park(run, { wakeAt: 0, wakeSignals: 0 });
    const again = await store.take(run.id);
    await store.advance(store.leaseMs - 1);
    same(await store.claimJobOf(run.id), [], "before");
    has(await store.get(run.id), { dueAt: again.leaseUntil });
    await store.advance(1);
    same(await store.claimJobOf(run.id), [run.id], "at its end");
  },

  async "an outsider's release says anew when the run is due"(store) {
    const run = await store.hold();
    await store.park(run);
    const write = {
      guard: { statuses: ["WAITING"] },
      release: { wakeAt: 0, wakeSignals: 0 },
    } as const;
    await store.ok(store.outside(run.id, write));
    same(await store.claimJobOf(run.id), [run.id]);
  },

  async "a commit of tasks leaves the due instant of the lease"(store) {
    const run = await store.hold();
    await store.ok(store.write(run, { tasks: [task("t", 1)] }));
    has(await store.get(run.id), { dueAt: run.leaseUntil });
  },
});

type Step = (store: Fixture, run: RunRecord, storage: Storage) => Promise<string[]>;

/** Each answers what it claimed. */
const steps: Readonly<Record<string, Step>> = {
  async park(store, run, storage) {
    const release = { wakeAt: null, wakeSignals: 1 };
    await store.ok(store.write(run, { run: { status: "WAITING" }, release }), storage);
    return [];
  },
  async signal(store, run, storage) {
    await store.send(run.id, { id: "call" }, storage);
    return [];
  },
  async claim(store, run, storage) {
    return store.claimIds({ jobIds: [run.jobId], workerId: "other" }, storage);
  },
};

const orders = [
  ["park", "signal", "claim"],
  ["park", "claim", "signal"],
  ["signal", "park", "claim"],
  ["signal", "claim", "park"],
  ["claim", "park", "signal"],
  ["claim", "signal", "park"],
] as const;

async function step(name: string, store: Fixture, run: RunRecord, storage: Storage) {
  return (await steps[name]?.(store, run, storage)) ?? [];
}

/** A run was parked, signalled and perhaps claimed: now it has been claimed exactly once. */
async function expectOneWaking(store: Fixture, run: RunRecord, claimed: readonly string[]) {
  const late = await store.claimIds({ jobIds: [run.jobId], workerId: "late" });
  same([...claimed, ...late], [run.id], "claims after the park");
  same(await store.signalIds(run.id), ["call"], "unread signals");
}

export const interleavings = topic(
  "S8: no wake-up is lost or doubled between park, signal and claim",
  {
    ...Object.fromEntries(
      orders.map((order) => [
        `in the order ${order.join(", ")}`,
        async (store: Fixture) => {
          const run = await store.hold();
          const claimed: string[] = [];
          for (const [index, name] of order.entries())
            claimed.push(...(await step(name, store, run, index % 2 ? store.a : store.b)));
          await expectOneWaking(store, run, claimed);
        },
      ]),
    ),

    ...Object.fromEntries(
      orders.map((order) => [
        `all at once, sent in the order ${order.join(", ")}`,
        async (store: Fixture) => {
          await store.sender();
          for (let round = 0; round < 5; round += 1) {
            const run = await store.hold();
            const claimed = await Promise.all(
              order.map((name, index) => step(name, store, run, index % 2 ? store.a : store.b)),
            );
            await expectOneWaking(store, run, claimed.flat());
          }
        },
      ]),
    ),
  },
);
