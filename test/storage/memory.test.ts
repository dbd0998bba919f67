import fc from "fast-check";
import { ManualClock, type NewRun, type RunWrite } from "pawl/adapter-kit";
import { MemoryData, memory } from "pawl/memory";
import { describe, expect, test } from "vitest";
import { Heap } from "../../src/storage/memory/heap.js";

function newRun(id: string, columns: Partial<NewRun> = {}): NewRun {
  return {
    id,
    jobId: "job",
    version: "1.0.0",
    status: "PENDING",
    wakeAt: 0,
    payload: null,
    ...columns,
  };
}

async function openStore() {
  const clock = new ManualClock();
  const storage = memory();
  await storage.init({ clock });
  const hints: (number | undefined)[] = [];
  const end = await storage.subscribe?.((dueAt) => hints.push(dueAt));
  let serial = 0;
  return {
    clock,
    storage,
    hints,
    end: async () => end?.(),
    create: async (...runs: NewRun[]) => {
      serial += 1;
      const groups = runs.map((first) => ({ first }));
      await storage.createRuns([{ createId: `create ${serial}`, groups }]);
    },
    claim: async (limit = 9) => {
      serial += 1;
      const { runs } = await storage.claimRuns({
        claimId: `claim ${serial}`,
        workerId: "worker",
        jobIds: ["job"],
        limit,
        leaseMs: 1_000,
        limits: { l: 1 },
        suspects: 1,
        taskBudget: 0,
      });
      return runs.map(({ run }) => run);
    },
    commit: async (parts: Partial<RunWrite> & Pick<RunWrite, "runId">) => {
      serial += 1;
      const [result] = await storage.commit([{ writeId: `write ${serial}`, guard: {}, ...parts }]);
      return result;
    },
  };
}

describe("hints of the memory storage", () => {
  test("a turn's runs are hinted at once, with the earliest instant", async () => {
    const { create, hints, clock } = await openStore();
    const soon = clock.now() + 10;
    await create(newRun("a", { wakeAt: soon + 5 }), newRun("b", { wakeAt: soon }));
    expect(hints).toEqual([soon]);
  });

  test("a run that no instant makes due is not hinted at, but the signal that does is", async () => {
    const { create, claim, commit, hints, clock } = await openStore();
    await create(newRun("a"), newRun("sender", { wakeAt: null }));
    const [run] = await claim();
    hints.length = 0;
    const release = { wakeAt: null, wakeSignals: 1 };
    await commit({ runId: "a", guard: { epoch: run?.epoch }, release });
    expect(hints).toEqual([]);
    const signals = [{ runId: "a", id: "s", topic: "t", ref: null }];
    await commit({ runId: "sender", signals });
    expect(hints).toEqual([clock.now()]);
  });

  test("a slot that is free again is hinted at, since runs were passed over for it", async () => {
    const { create, claim, commit, hints, clock } = await openStore();
    await create(newRun("a", { limitKeys: ["l/x"] }), newRun("b", { limitKeys: ["l/x"] }));
    const [run] = await claim();
    hints.length = 0;
    await commit({ runId: "a", guard: { epoch: run?.epoch }, run: { status: "COMPLETED" } });
    expect(hints).toEqual([clock.now()]);
    expect((await claim()).map(({ id }) => id)).toEqual(["b"]);
  });

  test("after its end a subscription hears nothing", async () => {
    const { create, hints, end } = await openStore();
    await end();
    await create(newRun("a"));
    expect(hints).toEqual([]);
  });

  test("neither does one whose storage was closed", async () => {
    const data = new MemoryData();
    const [one, other] = [memory({ data }), memory({ data })];
    const hints: unknown[] = [];
    await one.subscribe?.((dueAt) => hints.push(dueAt));
    await one.close();
    await other.createRuns([{ createId: "c", groups: [{ first: newRun("a") }] }]);
    await other.now();
    expect(hints).toEqual([]);
  });
});

describe("the memory storage", () => {
  test("adapters have data of their own unless they are given the same", async () => {
    const data = new MemoryData();
    await memory({ data }).setValue("k", "v");
    expect((await memory({ data }).getValue("k"))?.value).toBe("v");
    expect(await memory().getValue("k")).toBeUndefined();
  });

  test("its own clock goes before the client's, and without any it is the system's", async () => {
    const [own, clients] = [new ManualClock(), new ManualClock()];
    own.advance(5);
    const storage = memory({ clock: own });
    await storage.init({ clock: clients });
    expect(await storage.now()).toBe(own.now());
    const before = Date.now();
    expect(await memory().now()).toBeGreaterThanOrEqual(before);
  });

  test("an outsider that leaves a run open must say when it is due", async () => {
    const { create, commit } = await openStore();
    await create(newRun("a"));
    const result = await commit({ runId: "a", run: { tags: ["x"] } });
    expect(result).toMatchObject({
      result: "rejected",
      reason: expect.stringContaining("release"),
    });
  });

  test("a run that stays leased gets no limit key, but may lose one", async () => {
    const { create, claim, commit } = await openStore();
    await create(newRun("a", { limitKeys: ["l/x"] }), newRun("b", { limitKeys: ["l/x"] }));
    const [run] = await claim();
    const guard = { epoch: run?.epoch };
    const added = await commit({ runId: "a", guard, run: { limitKeys: ["l/x", "l/y"] } });
    expect(added).toMatchObject({ result: "rejected", reason: expect.stringContaining("l/y") });
    expect(await claim()).toEqual([]);
    expect(await commit({ runId: "a", guard, run: { limitKeys: [] } })).toMatchObject({
      result: "ok",
    });
    expect((await claim()).map(({ id }) => id)).toEqual(["b"]);
  });

  test("a run that another makes takes no idempotency key", async () => {
    const { create, commit } = await openStore();
    await create(newRun("a", { wakeAt: null }));
    const result = await commit({ runId: "a", runs: [newRun("b", { idempotencyKey: "k" })] });
    expect(result).toMatchObject({ result: "rejected", reason: expect.stringContaining("b") });
  });

  test("an id that is used again for a run with another key leaves the old key free", async () => {
    const { create, storage, clock } = await openStore();
    const find = async (key: string) => {
      const first = newRun(`other ${key}`, { idempotencyKey: key });
      const [answer] = await storage.createRuns([{ createId: `find ${key}`, groups: [{ first }] }]);
      return answer?.result === "ok" ? answer.groups[0]?.first.id : answer?.result;
    };
    const purge = (dedupeUntil: number) =>
      storage.purge({ finishedBefore: clock.now() + 1, dedupeUntil, limit: 9 });
    await create(newRun("a", { status: "COMPLETED", idempotencyKey: "old" }));
    await purge(clock.now() + 5);
    expect(await find("old")).toBe("a");
    clock.advance(5);
    await create(newRun("a", { idempotencyKey: "new" }));
    await purge(clock.now());
    expect(await find("new")).toBe("a");
    expect(await find("old")).toBe("other old");
  });

  test("a write that replaces a record that is not there is refused, as is a seq that comes twice", async () => {
    const { create, claim, commit } = await openStore();
    await create(newRun("a"));
    const [run] = await claim();
    const task = (path: string, seq: number, replaces?: number) => ({
      ...{ path, seq, replaces, kind: "task", status: "COMPLETED" as const, attempts: 1 },
      ...{ output: null, error: null, startedAt: 0, finishedAt: 0, wakeAt: null, data: null },
    });
    const guard = { epoch: run?.epoch };
    const results = [
      await commit({ runId: "a", guard, tasks: [task("t", 2, 1)] }),
      await commit({ runId: "a", guard, tasks: [task("t", 1), task("u", 1)] }),
      await commit({ runId: "a", guard, tasks: [task("t", 1), task("t", 2)] }),
    ];
    expect(results.map((each) => each?.result)).toEqual(["rejected", "rejected", "rejected"]);
    expect((await commit({ runId: "a", guard, tasks: [task("t", 1)] }))?.result).toBe("ok");
  });

  test("a claimId whose runs are all gone takes new ones", async () => {
    const { create, storage, commit, clock } = await openStore();
    await create(newRun("a", { wakeAt: 1 }), newRun("b", { wakeAt: 2 }));
    const request = {
      ...{ claimId: "c", workerId: "w", jobIds: ["job"], limit: 1, leaseMs: 10 },
      ...{ limits: {}, suspects: 1 as const, taskBudget: 0 },
    };
    await storage.claimRuns(request);
    await commit({ runId: "a", run: { status: "CANCELED" } });
    const second = await storage.claimRuns(request);
    expect(second.runs.map(({ run }) => run.id)).toEqual(["b"]);
    clock.advance(10);
    const third = await storage.claimRuns(request);
    expect(third.runs.map(({ run }) => [run.id, run.stalls])).toEqual([["b", 1]]);
    await commit({ runId: "b", run: { status: "CANCELED" } });
    expect((await storage.claimRuns(request)).runs).toEqual([]);
  });
});

test("a heap gives its items in order, whatever is taken out of its middle", () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), at: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ kind: fc.constant("remove" as const), at: fc.nat(60) }),
    fc.record({ kind: fc.constant("pop" as const), at: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const heap = new Heap<{ heapIndex: number; at: number }>((a, b) => a.at < b.at);
      const model: { heapIndex: number; at: number }[] = [];
      for (const { kind, at } of operations) {
        const chosen = model[at % Math.max(1, model.length)];
        if (kind === "push") {
          const item = { heapIndex: -1, at };
          model.push(item);
          heap.push(item);
        } else if (kind === "pop") {
          const popped = heap.pop();
          expect(popped?.at).toBe(
            model.length === 0 ? undefined : Math.min(...model.map((i) => i.at)),
          );
          if (popped !== undefined) model.splice(model.indexOf(popped), 1);
        } else if (chosen !== undefined && kind === "remove") {
          heap.remove(chosen);
          model.splice(model.indexOf(chosen), 1);
        }
        expect(heap.size).toBe(model.length);
      }
      const early = heap.top((item) => item.at <= 20, 1_000).map((item) => item.at);
      expect(early.sort()).toEqual(
        model
          .map((i) => i.at)
          .filter((each) => each <= 20)
          .sort(),
      );
    }),
  );
});
