import { describe, expect, test } from "vitest";
import { HeldRuns } from "../../src/storage/postgres/held-runs.js";

const lease = { epoch: 3, inbox: 1, leaseUntil: 1_000 };
const answer = { status: "EXECUTING", ...lease } as const;

describe("what a process knows of the runs that it holds", () => {
  test("is what it was told last, of the epoch that is asked for", () => {
    const held = new HeldRuns();
    held.learn("run", lease);
    held.learnFrom("run", { result: "ok", ...answer, inbox: 2 });
    expect(held.of("run", 3)).toEqual({ ...lease, inbox: 2 });
    expect(held.of("run", 4)).toBeUndefined();
    expect(held.of("another", 3)).toBeUndefined();
  });

  test("ends with the lease, and with an answer that the run is somebody else's", () => {
    const held = new HeldRuns();
    for (const runId of ["released", "fenced", "busy"]) held.learn(runId, lease);
    held.learnFrom("released", { result: "ok", ...answer, leaseUntil: null });
    held.learnFrom("fenced", { result: "fenced", ...answer, epoch: 4 });
    // Nothing was decided.
    held.learnFrom("busy", { result: "busy", ...answer, epoch: 0 });
    expect(["released", "fenced", "busy"].map((id) => held.of(id, 3))).toEqual([
      undefined,
      undefined,
      lease,
    ]);
  });

  test("is bounded: the run that nothing was heard of for the longest time is forgotten", () => {
    const held = new HeldRuns(2);
    for (const runId of ["first", "second"]) held.learn(runId, lease);
    held.learn("first", { ...lease, inbox: 2 });
    held.learn("third", lease);
    expect(["first", "second", "third"].map((id) => held.of(id, 3) !== undefined)).toEqual([
      true,
      false,
      true,
    ]);
  });
});
