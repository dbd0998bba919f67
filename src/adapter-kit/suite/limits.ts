import type { NewRun } from "../../core/storage.js";
import { has, same, sameSet, that } from "./check.js";
import type { Fixture } from "./fixture.js";
import { task } from "./samples.js";
import { topic } from "./topic.js";

const jobIds = ["job"];

function limited(wakeAt: number, ...limitKeys: string[]): Partial<NewRun> {
  return { jobId: "job", wakeAt, limitKeys };
}

async function hold(store: Fixture, ...limitKeys: string[]) {
  return store.hold(limited(0, ...limitKeys), { limits: {} });
}

export const limits = topic(
  "S7: a limit is never exceeded",
  {
    async "one claim takes no more than the limit"(store) {
      const ids = await store.createMany([1, 2, 3, 4].map((at) => limited(at, "l/a")));
      same(await store.claimIds({ jobIds, limits: { l: 2 } }), ids.slice(0, 2));
      same(await store.claimIds({ jobIds, limits: { l: 2 } }), []);
      same(await store.claimIds({ jobIds, limits: { l: 3 } }), ids.slice(2, 3), "a greater limit");
    },

    async "neither do many claimers at once"(store) {
      for (let round = 1; round <= 5; round += 1) {
        await store.createMany(Array.from({ length: 12 }, () => limited(0, `l/${round}`)));
        const claimed = await Promise.all(
          Array.from({ length: 8 }, (_, n) =>
            store.claimIds({ jobIds, limit: 2, limits: { l: 3 } }, n % 2 ? store.a : store.b),
          ),
        );
        same(claimed.flat().length, 3, "claimed runs");
        same(new Set(claimed.flat()).size, 3, "different runs");
      }
    },

    async "runs behind a saturated limit are passed over before the number of runs counts"(store) {
      await hold(store, "l/a");
      await store.createMany([1, 2, 3, 4, 5].map((at) => limited(at, "l/a")));
      const [free, plain] = await store.createMany([limited(8, "l/b"), limited(9)]);
      const request = { jobIds, limits: { l: 1 }, limit: 1 };
      same(await store.claimIds(request), [free]);
      same(await store.claimIds(request), [plain]);
      same(await store.claimIds(request), []);
    },

    async "each value of a limit has slots of its own"(store) {
      const ids = await store.createMany([limited(1, "l/a"), limited(2, "l/b"), limited(3, "l/a")]);
      same(await store.claimIds({ jobIds, limits: { l: 1 } }), ids.slice(0, 2));
    },

    async "a run with several keys needs a slot of each"(store) {
      await hold(store, "l/a");
      const [, other] = await store.createMany([limited(1, "m/x", "l/a"), limited(2, "m/x")]);
      same(await store.claimIds({ jobIds, limits: { l: 1, m: 1 } }), [other]);
      same(await store.claimIds({ jobIds, limits: { l: 2, m: 1 } }), [], "m is taken now");
    },

    async "a value may hold any text"(store) {
      const keys = ["l/a/b", "l/", "l/ä %_\"'", "l/a"];
      const ids = await store.createMany(keys.map((key, at) => limited(at, key)));
      await store.createMany(keys.map((key) => limited(9, key)));
      same(await store.claimIds({ jobIds, limits: { l: 1 } }), ids);
    },

    async "a limit that the claimer does not name is none"(store) {
      const ids = await store.createMany([limited(1, "l/a"), limited(2, "constructor/a")]);
      sameSet(await store.claimIds({ jobIds, limits: {} }), ids);
    },

    async "a limit counts the runs of all jobs"(store) {
      await store.hold({ jobId: "other", limitKeys: ["l/a"] });
      await store.create(limited(1, "l/a"));
      same(await store.claimIds({ jobIds, limits: { l: 1 } }), []);
    },

    async "a parked, a finished and a canceled run hold no slot"(store) {
      const request = { jobIds, limits: { l: 1 }, limit: 1 };
      const parked = await hold(store, "l/a");
      const second = await store.create(limited(2, "l/a"));
      const third = await store.create(limited(3, "l/a"));
      const fourth = await store.create(limited(4, "l/a"));
      await store.park(parked);
      const run = await store.take(second, request);
      same(await store.claimIds(request), []);
      await store.finish(run);
      same(await store.claimIds(request), [third]);
      await store.ok(store.outside(third, { run: { status: "CANCELED", finishedAt: 1 } }));
      same(await store.claimIds(request), [fourth]);
    },

    async "a lapsed lease holds no slot"(store) {
      const run = await hold(store, "l/a");
      await store.park(await store.hold());
      const next = await store.create({ jobId: "next", limitKeys: ["l/a"] });
      const request = { jobIds: ["next"], limits: { l: 1 } };
      await store.advance(store.leaseMs - 1);
      same(await store.claimIds(request), [], "before the end");
      await store.advance(1);
      same(await store.claimIds(request), [next], "at the end");
      has(await store.get(run.id), { epoch: run.epoch, status: "EXECUTING" });
    },

    async "a lease that was extended in time keeps its slot"(store) {
      const run = await hold(store, "l/a");
      await store.create(limited(1, "l/a"));
      await store.ok(store.write(run, { leaseUntil: await store.in(2 * store.leaseMs) }));
      await store.advance(store.leaseMs);
      same(await store.claimIds({ jobIds, limits: { l: 1 } }), []);
    },

    async "of two leases the one that was not extended gives up its slot"(store) {
      const extended = await hold(store, "l/a");
      await hold(store, "l/a");
      await store.createMany([limited(1, "l/a"), limited(2, "l/a")]);
      await store.ok(store.write(extended, { leaseUntil: await store.in(2 * store.leaseMs) }));
      await store.advance(store.leaseMs);
      const claimed = await store.claimIds({ jobIds, limits: { l: 2 } });
      same(claimed.length, 1, "claimed runs");
      that(!claimed.includes(extended.id), "not the one that is held");
    },

    async "a lapsed lease is not extended, since its slot may be gone; its records are kept"(
      store,
    ) {
      const run = await hold(store, "l/a");
      await store.advance(store.leaseMs);
      const leaseUntil = await store.in(store.leaseMs);
      const late = await store.ok(store.write(run, { tasks: [task("t", 1)], leaseUntil }));
      has(late, { leaseRefused: true, leaseUntil: run.leaseUntil });
      same((await store.tasks(run.id)).length, 1, "number of tasks");
      same(await store.claimIds({ jobIds, limits: { l: 1 } }), [run.id], "claimed anew");
    },

    async "runs by name need a slot like all others"(store) {
      await hold(store, "l/a");
      const id = await store.create({ ...limited(1, "l/a"), wakeAt: null });
      same(await store.claimIds({ jobIds, only: [id], limits: { l: 1 } }), []);
      same(await store.claimIds({ jobIds, only: [id], limits: { l: 2 } }), [id]);
    },

    async "a run with a limit key is never created leased"(store) {
      const lease = { workerId: "worker", leaseMs: store.leaseMs };
      const first = store.newRun({ ...limited(0, "l/a"), lease });
      await store.createElement({ groups: [{ first }] });
      const [run] = await store.a.getRuns([first.id]);
      same(run?.leaseUntil ?? null, null, "leaseUntil");
    },

    async "limit keys that are stored with a release count from then on"(store) {
      const first = await store.hold({ jobId: "job" });
      await hold(store, "l/a");
      await store.park(first, { wakeAt: 0 }, { run: { status: "PENDING", limitKeys: ["l/a"] } });
      const ids = await store.createMany([limited(5, "l/a")]);
      const claimed = await store.claimIds({ jobIds, limits: { l: 2 } });
      same(claimed.length, 1, "claimed runs");
      that([...ids, first.id].includes(claimed[0] ?? ""), "one of the two");
    },

    async "nextDue leaves out what was passed over"(store) {
      await hold(store, "l/a");
      await store.create(limited(1, "l/a"));
      const { now, nextDue } = await store.claim({ jobIds, limits: { l: 1 } });
      that(nextDue !== null && nextDue > now, "nextDue is when the slot may be free");
    },
  },
  ({ capabilities }) => (capabilities.limits ? undefined : "capabilities.limits is false"),
);
