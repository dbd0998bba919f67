import { ManualClock, type NewRun, type Storage, testStorage } from "pawl/adapter-kit";
import { MemoryData, memory } from "pawl/memory";
import { describe, expect, test } from "vitest";
import { withMethods } from "./broken.js";
import { failuresOf, suiteFor } from "./broken-suite.js";

// What the contract leaves open, the suite must leave open, too.

const undecided = { epoch: 0, status: "PENDING", inbox: 0, leaseUntil: null } as const;

/** Every other element meets a locked row. */
function oftenBusy(inner: Storage): Storage {
  let calls = 0;
  const isBusy = (): boolean => {
    calls += 1;
    return calls % 2 === 0;
  };
  return withMethods(inner, {
    commit: async (writes) => {
      const answers = await inner.commit([]);
      for (const write of writes) {
        if (isBusy()) answers.push({ ...undecided, result: "busy" });
        else answers.push(...(await inner.commit([write])));
      }
      return answers;
    },
    createRuns: async (elements) => {
      const answers = await inner.createRuns([]);
      for (const element of elements) {
        if (isBusy()) answers.push({ result: "busy" });
        else answers.push(...(await inner.createRuns([element])));
      }
      return answers;
    },
  });
}

/** Runs that a write creates live elsewhere: they are kept until they are delivered. */
function deliveringLate(inner: Storage, outbox: NewRun[]): Storage {
  return withMethods(inner, {
    commit: async (writes) => {
      const answers = await inner.commit([]);
      for (const { runs, ...write } of writes) {
        const isKept = runs !== undefined && write.signals === undefined;
        const [answer] = await inner.commit([isKept ? write : { ...write, runs }]);
        const isPending = isKept && answer?.result === "ok";
        if (isPending) outbox.push(...runs);
        if (answer !== undefined) answers.push({ ...answer, pending: isPending });
      }
      return answers;
    },
    deliver: async () => {
      await inner.now();
      const first = outbox.shift();
      if (first !== undefined)
        await inner.createRuns([{ createId: `outbox ${first.id}`, groups: [{ first }] }]);
      return { left: outbox.length };
    },
  });
}

describe("storages that keep every promise in ways of their own", () => {
  test("one that is busy every other time passes", async () => {
    const cases = suiteFor(() => (data) => oftenBusy(memory({ data })));
    expect(await failuresOf(cases)).toEqual([]);
  });

  test("one that delivers created runs later passes", async () => {
    const cases = suiteFor(() => {
      const outbox: NewRun[] = [];
      return (data) => deliveringLate(memory({ data }), outbox);
    });
    expect(await failuresOf(cases)).toEqual([]);
  });

  test("one with a clock of its own passes, with leases as short as it likes", async () => {
    const failures: string[] = [];
    const bodies: (() => Promise<unknown>)[] = [];
    testStorage({
      name: "slow",
      leaseMs: 2_000,
      runner: {
        describe: (_, body) => body(),
        test: Object.assign(
          (title: string, body: (context: { skip(): void }) => Promise<void>) =>
            bodies.push(() => body({ skip: () => {} }).catch(() => failures.push(title))),
          { skip: () => {} },
        ),
      },
      create: () => {
        const data = new MemoryData();
        const clock = new ManualClock();
        return {
          open: () => memory({ data, clock }),
          advance: async (ms) => clock.advance(ms),
        };
      },
    });
    for (const body of bodies) await body();
    expect(failures).toEqual([]);
  });
});
