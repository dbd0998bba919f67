import { describe, expect, test } from "vitest";
import { leaseAtCreation, newRunRecord } from "../../src/core/new-run.js";
import { NEVER, type NewRun, type RunWrite, WATCH_TOPIC } from "../../src/core/storage.js";
import {
  afterClaim,
  afterSignal,
  afterWrite,
  dueAtOf,
  newStoredRun,
  type StoredRun,
} from "../../src/core/stored-run.js";

const now = 1_000;
const claim = { claimId: "c", workerId: "w", leaseMs: 50 };

function newRun(columns: Partial<NewRun> = {}): NewRun {
  const base = { id: "r", jobId: "j", version: "1.0.0", payload: "{}" };
  return { ...base, status: "PENDING", wakeAt: now, ...columns };
}

function held(columns: Partial<NewRun> = {}): StoredRun {
  return afterClaim(newStoredRun(newRun(columns), "create", now), claim, 0, now);
}

function written(stored: StoredRun, parts: Partial<RunWrite>, at = now): StoredRun {
  const guard = { epoch: stored.run.epoch };
  return afterWrite(stored, { runId: "r", writeId: "write", guard, ...parts }, 0, at).stored;
}

describe("a new run", () => {
  test("waits for its claim at the instant that it was given, or for none", () => {
    expect(newRunRecord(newRun(), now)).toMatchObject({ epoch: 0, dueAt: now, leaseUntil: null });
    expect(newRunRecord(newRun({ wakeAt: null }), now).dueAt).toBe(NEVER);
  });

  test("is held by its creator, whose lease starts its time limit", () => {
    const run = newRun({ lease: claim, deadlineAt: now + 1, maxDurationMs: 9 });
    const record = newRunRecord(run, now);
    expect(record).toMatchObject({ epoch: 1, status: "EXECUTING", workerId: "w", startedAt: now });
    expect(record).toMatchObject({ leaseUntil: now + 50, dueAt: now + 50, deadlineAt: now + 9 });
    expect(newRunRecord(newRun({ lease: claim, deadlineAt: 1 }), now).deadlineAt).toBeNull();
  });

  test("is not held from the start if it has a limit key or is over", () => {
    expect(leaseAtCreation(newRun({ lease: claim, limitKeys: ["l/x"] }), now)).toBeNull();
    const over = newRunRecord(newRun({ lease: claim, status: "COMPLETED", deadlineAt: 1 }), now);
    expect(over).toMatchObject({ epoch: 0, dueAt: null, finishedAt: now, deadlineAt: null });
  });

  test("has each tag once, in a list that nobody can change", () => {
    const { tags, limitKeys } = newRunRecord(newRun({ tags: ["a", "b", "a"] }), now);
    expect(tags).toEqual(["a", "b"]);
    expect([tags, limitKeys].every((list) => Object.isFrozen(list))).toBe(true);
  });
});

describe("when a run is due", () => {
  const wake = { wakeAt: now + 9, wakeSignals: 2, unread: 2 };

  test("as many signals as it waits for make it due, and it stays so from that instant on", () => {
    const run = { status: "WAITING", leaseUntil: null, dueAt: NEVER } as const;
    expect(dueAtOf(run, { ...wake, unread: 1 }, now)).toBe(now + 9);
    expect(dueAtOf(run, wake, now)).toBe(now);
    expect(dueAtOf({ ...run, dueAt: null }, wake, now)).toBe(now);
    expect(dueAtOf({ ...run, dueAt: now - 3 }, wake, now)).toBe(now - 3);
  });

  test("a watch is no such signal", () => {
    const waiting = written(held(), { release: { wakeAt: null, wakeSignals: 1 } });
    const watched = afterSignal(waiting, WATCH_TOPIC, now);
    expect(watched).toMatchObject({ unread: 0, run: { inbox: 1, dueAt: NEVER } });
    expect(afterSignal(watched, "t", now)).toMatchObject({ unread: 1, run: { dueAt: now } });
  });

  test("a signal finds out when the run is parked, if it came before", () => {
    const called = afterSignal(held(), "t", now);
    expect(called.run.dueAt).toBe(now + 50);
    const release = { wakeAt: null, wakeSignals: 1 };
    expect(written(called, { release }, now + 1).run.dueAt).toBe(now + 1);
    const read = afterWrite(called, { runId: "r", writeId: "x", guard: {}, release }, 1, now);
    expect(read.stored).toMatchObject({ unread: 0, run: { dueAt: NEVER } });
  });
});

describe("a claim", () => {
  test("starts the run once, and then its time limit", () => {
    const first = held({ deadlineAt: now + 1, maxDurationMs: 9 });
    expect(first.run).toMatchObject({ epoch: 1, startedAt: now, deadlineAt: now + 9 });
    expect(held({ deadlineAt: now + 1 }).run.deadlineAt).toBeNull();
    const again = afterClaim(first, claim, 0, now + 60);
    expect(again.run).toMatchObject({ epoch: 2, startedAt: now, deadlineAt: now + 9 });
  });

  test("over a lapsed lease counts a stall, unless something was recorded", () => {
    const stalled = afterClaim(held(), claim, 0, now + 60);
    expect(stalled.run).toMatchObject({ stalls: 1, lastSeq: 0 });
    expect(afterClaim(stalled, claim, 3, now + 120).run).toMatchObject({ stalls: 0, lastSeq: 3 });
  });

  test("of the worker that kept the run in memory is no new execution", () => {
    const release = { wakeAt: now, wakeSignals: 0, keep: true };
    const parked = written(held(), { release });
    const kept = afterClaim(parked, claim, 0, now);
    expect(kept).toMatchObject({ claim: { kept: true }, keep: false, run: { executionCount: 1 } });
    const other = afterClaim(parked, { ...claim, workerId: "v" }, 0, now);
    expect(other).toMatchObject({ claim: { kept: false }, run: { executionCount: 2 } });
  });
});

describe("a write", () => {
  test("of task records only leaves the run as it is", () => {
    const stored = held();
    const task = {
      ...{ path: "t", seq: 1, kind: "task", status: "COMPLETED" as const, attempts: 1 },
      ...{ output: null, error: null, startedAt: 0, finishedAt: 0, wakeAt: null, data: null },
    };
    expect(written(stored, { tasks: [task] })).toBe(stored);
  });

  test("that carries things for others leaves all but its id", () => {
    const stored = held();
    expect(written(stored, { signals: [] })).toEqual({ ...stored, writeId: "write" });
  });

  test("that ends the run ends lease, claim and deadline", () => {
    const ended = written(held({ maxDurationMs: 9 }), { run: { status: "FAILED" } });
    expect(ended).toMatchObject({ claim: null, keep: false });
    expect(ended.run).toMatchObject({ epoch: 1, leaseUntil: null, dueAt: null, deadlineAt: null });
    expect(ended.run.finishedAt).toBe(now);
    expect(written(held(), { run: { status: "FAILED", finishedAt: 5 } }).run.finishedAt).toBe(5);
  });

  test("of an outsider raises the epoch, and keeps nothing in a worker's memory", () => {
    const release = { wakeAt: 7, wakeSignals: 0, keep: true };
    const next = written(held(), { guard: {}, release });
    expect(next).toMatchObject({ keep: false, claim: null, run: { epoch: 2, dueAt: 7 } });
  });

  test("that reopens a run begins the next generation", () => {
    const ended = written(held(), { run: { status: "FAILED" } });
    const release = { wakeAt: now, wakeSignals: 0, keep: true };
    const run = { status: "PENDING" as const, executionCount: 0 };
    const next = written(ended, { reopen: true, run, release });
    expect(next).toMatchObject({ keep: false, run: { epoch: 2, generation: 2, finishedAt: null } });
    expect(next.run).toMatchObject({ status: "PENDING", executionCount: 0, dueAt: now });
  });

  test("sets the columns that have a value, also null", () => {
    const stored = held({ output: "1", tags: ["a"] });
    const run = { output: null, tags: ["b", "b"], limitKeys: [], priority: undefined };
    expect(written(stored, { run }).run).toMatchObject({ output: null, tags: ["b"], priority: 0 });
  });

  test("makes a lease longer, never shorter", () => {
    expect(written(held(), { leaseUntil: now + 80 }).run).toMatchObject({
      ...{ leaseUntil: now + 80, dueAt: now + 80 },
    });
    expect(written(held(), { leaseUntil: now + 20 }).run.leaseUntil).toBe(now + 50);
    const release = { wakeAt: 7, wakeSignals: 0 };
    expect(written(held(), { leaseUntil: now + 80, release }).run.leaseUntil).toBeNull();
  });

  test("makes a lapsed lease longer only if no slot hangs on it", () => {
    const write = { runId: "r", writeId: "x", guard: {}, leaseUntil: now + 99 };
    expect(afterWrite(held(), write, 0, now + 60).stored.run.leaseUntil).toBe(now + 99);
    const refused = afterWrite(held({ limitKeys: ["l/x"] }), write, 0, now + 60);
    expect(refused).toMatchObject({ leaseRefused: true, stored: { writeId: "x" } });
    expect(refused.stored.run.leaseUntil).toBe(now + 50);
  });
});
