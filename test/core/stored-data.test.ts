import { describe, expect, test } from "vitest";
import { Inbox, RunLog, storedTask, TaskTable } from "../../src/core/run-tables.js";
import { type NewRun, type TaskWrite, WATCH_TOPIC } from "../../src/core/storage.js";
import {
  afterValueWrite,
  isPurgeable,
  runPage,
  signalOfWatch,
  storedValue,
} from "../../src/core/stored-data.js";
import { newStoredRun } from "../../src/core/stored-run.js";
import { commitResult, commitVerdict } from "../../src/core/write-verdict.js";

function task(path: string, seq: number, parts: Partial<TaskWrite> = {}): TaskWrite {
  return {
    ...{ path, seq, kind: "task", status: "COMPLETED", attempts: 1, output: null, error: null },
    ...{ startedAt: 0, finishedAt: 0, wakeAt: null, data: null },
    ...parts,
  };
}

function tableOf(...tasks: TaskWrite[]): TaskTable {
  const table = new TaskTable();
  for (const each of tasks) table.put(storedTask(each, `write ${each.seq}`));
  return table;
}

const newRun: NewRun = {
  ...{ id: "r", jobId: "j", version: "1.0.0", status: "PENDING", wakeAt: 0, payload: null },
};

describe("task records of one run", () => {
  test("are answered in the order of seq, as many as fit, but at least as many as asked for", () => {
    const table = tableOf(task("b", 2), task("a", 1), task("c", 3, { output: "x".repeat(500) }));
    const seqs = (after: number, budget: number, atLeast: 0 | 1) => {
      const { tasks, complete } = table.page(after, budget, atLeast);
      return { seqs: tasks.map(({ seq }) => seq), complete };
    };
    expect(seqs(0, 1_000, 0)).toEqual({ seqs: [1, 2, 3], complete: true });
    expect(seqs(0, 200, 0)).toEqual({ seqs: [1, 2], complete: false });
    expect(seqs(2, 200, 0)).toEqual({ seqs: [], complete: false });
    expect(seqs(2, 0, 1)).toEqual({ seqs: [3], complete: true });
    expect(seqs(3, 0, 1)).toEqual({ seqs: [], complete: true });
  });

  test("are found by path and by seq, few as well as many", () => {
    const many = Array.from({ length: 20 }, (_, index) => task(`t${index}`, index + 1));
    const table = tableOf(...many);
    const replaced = table.put(storedTask(task("t3", 21), "again"));
    expect(replaced?.seq).toBe(4);
    expect([table.get("t3")?.seq, table.hasSeq(4), table.hasSeq(21)]).toEqual([21, false, true]);
    expect(table.highestSeq).toBe(21);
  });
});

describe("what a write is answered", () => {
  const { run } = newStoredRun(newRun, null, 0);
  const stored = { run, writeId: "last" };
  const known = { tasks: tableOf(task("t", 1)), values: { versionOf: () => 2 } };
  const verdict = (parts: object) =>
    commitVerdict({ runId: "r", writeId: "w", guard: {}, ...parts }, stored, known);

  test("a repeated write is known by the run or by its tasks", () => {
    expect(verdict({ writeId: "last" })?.result).toBe("ok");
    expect(verdict({ writeId: "write 1", tasks: [task("t", 1)] })?.result).toBe("ok");
    expect(verdict({})).toBeUndefined();
  });

  test("each part of the guard must hold", () => {
    expect(verdict({ guard: { epoch: 1 } })?.result).toBe("fenced");
    for (const guard of [{ statuses: ["WAITING"] }, { inbox: 1 }, { generation: 2 }])
      expect(verdict({ guard })?.result).toBe("conflict");
    const guard = { epoch: 0, statuses: ["PENDING"], inbox: 0, generation: 1 };
    expect(verdict({ guard })).toBeUndefined();
    const values = [{ key: "k", value: "v", expected: 1 }];
    expect(verdict({ values })?.result).toBe("conflict");
  });

  test("what the contract does not allow is rejected with a reason", () => {
    const reasons = [
      verdict({ tasks: [task("t", 2, { replaces: 1 })] }),
      verdict({ tasks: [task("u", 2, { replaces: 1 })] }),
      verdict({ tasks: [task("u", 1)] }),
      verdict({ run: { tags: [] } }),
      verdict({ guard: { epoch: 0 }, run: { limitKeys: ["l/x"] } }),
      verdict({ runs: [{ ...newRun, idempotencyKey: "k" }] }),
    ].map((answer) => answer?.reason);
    expect(reasons).toEqual([
      expect.stringContaining("completed"),
      expect.stringContaining("no record"),
      expect.stringContaining("Seq 1"),
      expect.stringContaining("release"),
      expect.stringContaining("l/x"),
      expect.stringContaining("idempotency key"),
    ]);
  });

  test("a missing run has no state", () => {
    expect(commitResult("missing")).toMatchObject({ result: "missing", epoch: 0, inbox: 0 });
  });
});

describe("inbox and log", () => {
  test("no signal comes twice, and a watch is never read", () => {
    const inbox = new Inbox();
    const signals = ["t", WATCH_TOPIC].map((topic) => ({ id: `${topic} 1`, topic, ref: null }));
    expect(signals.map((signal) => inbox.add(signal))).toEqual([true, true]);
    expect(inbox.markRead([...signals.map(({ id }) => id), "unknown"])).toBe(1);
    expect(inbox.markRead(["t 1"])).toBe(0);
    expect(signals.map((signal) => inbox.add(signal))).toEqual([false, false]);
    expect(inbox.list()).toEqual([signals[1]]);
  });

  test("a watch of a run that is over, or was never there, is answered at once", () => {
    const watch = { targetId: "child", signalId: "s", topic: "t" };
    const answer = { runId: "r", id: "s", topic: "t", ref: "child" };
    expect(signalOfWatch("r", watch, undefined)).toEqual(answer);
    expect(signalOfWatch("r", watch, { status: "FAILED" })).toEqual(answer);
    const open = signalOfWatch("r", watch, { status: "WAITING" });
    expect(open).toMatchObject({ runId: "child", id: "r s", topic: WATCH_TOPIC });
  });

  test("a line is kept once by epoch and ordinal", () => {
    const log = new RunLog();
    const line = (ordinal: number) => ({
      ...{ ordinal, stream: "s", path: "", level: "INFO", message: "m", data: null, at: 0 },
    });
    log.append([line(1), line(1), line(2)], 1);
    log.append([line(1)], 2);
    const places = log.page({ limit: 9 }).map(({ position, epoch }) => `${position} of ${epoch}`);
    expect(places).toEqual(["1 of 1", "2 of 1", "3 of 2"]);
    expect(log.page({ after: 1, limit: 1 })).toMatchObject([{ position: 2 }]);
    expect(log.counts()).toEqual({ s: 3 });
  });
});

describe("values", () => {
  test("no version comes twice, not even that of a deleted value", () => {
    const first = afterValueWrite(undefined, { value: "a", expected: 0 });
    const deleted = afterValueWrite(first.entry, { value: null });
    const again = afterValueWrite(deleted.entry, { value: "b", expected: 0 });
    expect([first, deleted, again].map(({ result }) => result.version)).toEqual([1, 0, 2]);
    expect(storedValue(deleted.entry)).toBeUndefined();
    const refused = afterValueWrite(again.entry, { value: "c", expected: 1 });
    expect(refused.result).toEqual({ ok: false, version: 2, value: "b" });
    expect(refused.entry).toBe(again.entry);
    expect(afterValueWrite(undefined, { value: null })).toMatchObject({ entry: undefined });
  });
});

test("a run may be purged when it, its parent and its hooks are over", () => {
  const ended = { status: "COMPLETED", finishedAt: 5 } as const;
  const open = { jobId: "j", status: "WAITING" } as const;
  expect(isPurgeable(ended, undefined, [], 6)).toBe(true);
  expect(isPurgeable(ended, { status: "FAILED" }, [], 6)).toBe(true);
  expect(isPurgeable(ended, open, [], 6)).toBe(false);
  expect(isPurgeable(ended, undefined, [open], 6)).toBe(true);
  expect(isPurgeable(ended, undefined, [{ ...open, jobId: "$hook:j" }], 6)).toBe(false);
  expect(isPurgeable(ended, undefined, [{ jobId: "$hook:j", status: "FAILED" }], 6)).toBe(true);
  expect(isPurgeable(ended, undefined, [], 5)).toBe(false);
  expect(isPurgeable({ status: "WAITING", finishedAt: null }, undefined, [], 6)).toBe(false);
  expect(isPurgeable({ status: "FAILED", finishedAt: null }, undefined, [], 6)).toBe(true);
});

describe("a page of runs", () => {
  const rows = [3, 2, 1].map((order) => ({
    stored: newStoredRun({ ...newRun, id: `r${order}` }, null, 0),
    order,
  }));
  const ids = (query: { cursor?: string; limit: number }) => {
    const { runs, nextCursor } = runPage(rows, query, 0);
    return [runs.map(({ id }) => id), nextCursor];
  };

  test("goes on after the cursor of the one before", () => {
    expect(ids({ limit: 2 })).toEqual([["r3", "r2"], "2"]);
    expect(ids({ limit: 2, cursor: "2" })).toEqual([["r1"], undefined]);
  });

  test("a cursor that listRuns did not give is refused", () => {
    expect(() => ids({ limit: 2, cursor: "r2" })).toThrow("cursor");
  });
});
