import { describe, expect, test } from "vitest";
import { claimOrder, isClaimable } from "../../src/core/claim-order.js";
import { planClaim } from "../../src/core/claim-plan.js";
import type { ClaimRequest, NewRun } from "../../src/core/storage.js";
import { newStoredRun, type StoredRun } from "../../src/core/stored-run.js";

const now = 1_000;

function rowOf(id: string, columns: Partial<NewRun> = {}, state: Partial<StoredRun["run"]> = {}) {
  const base = { id, jobId: "j", version: "1.0.0", status: "PENDING", wakeAt: now } as const;
  const made = newStoredRun({ ...base, payload: null, ...columns }, null, now - 10);
  return { stored: { ...made, run: { ...made.run, ...state } }, tasks: { highestSeq: 0 } };
}

type Row = ReturnType<typeof rowOf>;

function plan(rows: readonly Row[], parts: Partial<ClaimRequest> = {}, at = now) {
  const request: ClaimRequest = {
    ...{ claimId: "c", workerId: "w", jobIds: ["j", "$j"], limit: 9, leaseMs: 50 },
    ...{ limits: { l: 1 }, suspects: 1, taskBudget: 0 },
    ...parts,
  };
  const { taken, ...rest } = planClaim(rows, request, at);
  const after = rows.map((row) => {
    const next = taken.find((each) => each.row === row);
    return next === undefined ? row : { ...row, stored: next.stored };
  });
  return { ids: taken.map(({ row }) => row.stored.run.id), after, ...rest };
}

describe("a claim that looks at each run", () => {
  test("takes internal runs first, then by priority, start and instant, and the older of equals", () => {
    const rows = [
      rowOf("late"),
      rowOf("later"),
      rowOf("early", { wakeAt: now - 5 }),
      rowOf("started", {}, { startedAt: 1 }),
      rowOf("urgent", { priority: 1 }),
      rowOf("internal", { jobId: "$j" }),
    ];
    const order = ["internal", "urgent", "started", "early", "late", "later"];
    expect(plan(rows)).toMatchObject({ ids: order, nextDue: now + 50 });
  });

  test("leaves out what is over, held, not due yet or of another job", () => {
    const rows = [
      rowOf("over", { status: "COMPLETED" }),
      rowOf("held", { lease: { workerId: "v", leaseMs: 50 } }),
      rowOf("tomorrow", { wakeAt: now + 20 }),
      rowOf("never", { wakeAt: null }),
      rowOf("foreign", { jobId: "other" }),
    ];
    expect(plan(rows)).toMatchObject({ ids: [], nextDue: now + 20 });
    expect(plan(rows, { only: ["tomorrow", "over", "held"] }).ids).toEqual(["tomorrow"]);
    expect(plan(rows.slice(3))).toMatchObject({ ids: [], nextDue: null });
  });

  test("says that there is more when the limit cut it off", () => {
    const rows = [rowOf("a"), rowOf("b")];
    expect(plan(rows, { limit: 1 })).toMatchObject({ ids: ["a"], nextDue: now });
    expect(plan(rows, { only: ["a"] })).toMatchObject({ ids: ["a"], nextDue: now });
  });

  test("answers again what it took, as long as that is held", () => {
    const { after } = plan([rowOf("a"), rowOf("b")], { limit: 1 });
    expect(plan(after)).toMatchObject({ ids: ["a"], after, nextDue: now });
    expect(plan(after, {}, now + 50).ids).toEqual(["a", "b"]);
  });

  test("passes over runs whose limit is saturated, and looks again when the slot is free for certain", () => {
    const limitKeys = ["l/x"];
    const rows = [
      rowOf("a", { limitKeys }),
      rowOf("b", { limitKeys }),
      rowOf("c", { wakeAt: now + 70 }),
    ];
    const first = plan(rows);
    expect(first).toMatchObject({ ids: ["a"], nextDue: now + 50 });
    expect(plan(first.after, { claimId: "d", limit: 1 }).ids).toEqual([]);
    expect(plan(rows, { limits: {} }).ids).toEqual(["a", "b"]);
  });

  test("takes as many suspects as it may", () => {
    const rows = [rowOf("a", {}, { stalls: 2 }), rowOf("b", {}, { stalls: 3 }), rowOf("c")];
    expect(plan(rows).ids).toEqual(["a", "c"]);
    expect(plan(rows, { suspects: 0 }).ids).toEqual(["c"]);
  });

  test("names what is overdue after it: a start replaces the deadline", () => {
    const rows = [rowOf("a", { deadlineAt: now }), rowOf("b", { deadlineAt: now, jobId: "other" })];
    expect(plan(rows)).toMatchObject({ ids: ["a"], overdue: ["b"], nextDeadline: now });
    const long = rowOf("a", { deadlineAt: now, maxDurationMs: 5 });
    expect(plan([long])).toMatchObject({ overdue: [], nextDeadline: now + 5 });
  });
});

test("a run without an instant is not claimable, and comes last", () => {
  const { run } = rowOf("a").stored;
  const timeless = { ...run, dueAt: null };
  expect(isClaimable(timeless, { jobIds: ["j"] }, now)).toBe(false);
  expect([timeless, run].sort(claimOrder)).toEqual([run, timeless]);
  expect([run, timeless].sort(claimOrder)).toEqual([run, timeless]);
});
