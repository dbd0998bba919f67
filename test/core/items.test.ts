import { describe, expect, test } from "vitest";
import { assertCopied, copyMark } from "../../src/core/copy-mark.js";
import type { Identity } from "../../src/core/creation.js";
import { itemPlace, itemTables, pageAfter } from "../../src/core/item-place.js";
import {
  assertOwners,
  type HeldItems,
  importedRun,
  importedTombstone,
  itemBytes,
  itemPage,
  runItem,
  tombstoneWithKey,
} from "../../src/core/items.js";
import { Inbox, RunLog, storedTask, TaskTable } from "../../src/core/run-tables.js";
import {
  type NewRun,
  type StoredItem,
  type TombstoneItem,
  WATCH_TOPIC,
} from "../../src/core/storage.js";
import { newStoredRun, type StoredRun } from "../../src/core/stored-run.js";

const newRun: NewRun = {
  ...{ id: "r", jobId: "j", version: "1.0.0", status: "PENDING", wakeAt: 7, payload: "p" },
};
const stored = newStoredRun(newRun, "c", 5);
const taskOf = (seq: number) => ({
  ...{ path: `t${seq}`, seq, kind: "task", status: "COMPLETED" as const, attempts: 1 },
  ...{ output: "o", error: null, startedAt: 0, finishedAt: 0, wakeAt: null, data: null },
});
const lineOf = (ordinal: number) => ({
  ...{ ordinal, stream: "s", path: "", level: "INFO", message: "m", data: null, at: 1 },
});
const tombstone: TombstoneItem = {
  ...{ kind: "tombstone", id: "gone", createId: "c", fingerprint: "f", createdAt: 1, until: 9 },
};

/** A run with two records, a signal that was read, a watch and a line, after a value and a tombstone. */
function furnished(): HeldItems {
  const tasks = new TaskTable();
  for (const seq of [1, 2]) tasks.put(storedTask(taskOf(seq), `w${seq}`));
  const inbox = new Inbox();
  inbox.add({ id: "s", topic: "t", ref: null });
  inbox.markRead(["s"]);
  inbox.add({ id: "w", topic: WATCH_TOPIC, ref: "{}" });
  const log = new RunLog();
  log.append([lineOf(1)], 3);
  const key = {
    kind: "key",
    jobId: "j",
    idempotencyKey: "k",
    runId: "gone",
    expiresAt: 4,
  } as const;
  const keyed: Identity = tombstoneWithKey(importedTombstone(tombstone), key);
  const bare: Identity = importedTombstone({ ...tombstone, id: "bare" });
  return {
    values: [["v", { value: null, version: 2 }]],
    tombstones: [keyed, bare],
    rows: [
      { stored, tasks, inbox, log },
      {
        stored: newStoredRun({ ...newRun, id: "plain" }, null, 5),
        tasks: null,
        inbox: null,
        log: null,
      },
    ],
    runOfKey: (name) => (name === "j\u0000k" ? "gone" : undefined),
  };
}

function allPages(byteBudget: number): StoredItem[] {
  const items: StoredItem[] = [];
  let after: string | undefined;
  do {
    const page = itemPage(furnished(), { byteBudget, ...(after && { after }) });
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return items;
}

describe("everything that a store in memory has", () => {
  test("comes in the order of who belongs to whom", () => {
    expect(allPages(100_000).map(({ kind }) => kind)).toEqual([
      ...["value", "tombstone", "key", "tombstone"],
      ...["run", "task", "task", "signal", "signal", "log", "run"],
    ]);
  });

  test("is the same in pages of any size", () => {
    const whole = allPages(100_000);
    for (const budget of [1, 300, 700, 1_500]) expect(allPages(budget)).toEqual(whole);
  });

  test("says of signals whether they were read, and of lines their epoch", () => {
    const items = allPages(100_000);
    const signals = items.filter(({ kind }) => kind === "signal");
    expect(signals).toEqual([
      { kind: "signal", runId: "r", isRead: true, signal: { id: "s", topic: "t", ref: null } },
      {
        kind: "signal",
        runId: "r",
        isRead: false,
        signal: { id: "w", topic: WATCH_TOPIC, ref: "{}" },
      },
    ]);
    const [line] = items.filter(({ kind }) => kind === "log");
    expect(line).toEqual({ kind: "log", runId: "r", epoch: 3, line: lineOf(1) });
  });

  test("is not to be read from a place that no page gave", () => {
    expect(() => itemPage(furnished(), { after: "x", byteBudget: 1 })).toThrow("not one that");
  });
});

describe("a run that is handed over", () => {
  test("keeps how it is woken only while it is parked", () => {
    const held: StoredRun = { ...stored, wakeSignals: 2, run: { ...stored.run, leaseUntil: 9 } };
    const over: StoredRun = { ...stored, run: { ...stored.run, status: "FAILED" } };
    expect(runItem({ ...stored, wakeSignals: 2 }, false)).toMatchObject({
      wakeAt: 7,
      wakeSignals: 2,
    });
    for (const each of [held, over])
      expect(runItem(each, false)).toMatchObject({ wakeAt: null, wakeSignals: 0 });
  });

  test("comes back as it was, but for the claim that holds it", () => {
    const keyed = { ...stored, keyExpiresAt: 8, claim: { id: "c", kept: true }, keep: true };
    const back = importedRun(runItem(keyed, true));
    expect(back).toEqual({ ...keyed, claim: null, keep: false });
    expect(importedRun(runItem(keyed, false)).keyExpiresAt).toBeNull();
  });

  test("is followed by what belongs to it, or that is refused", () => {
    const [run, taskItem] = allPages(100_000).slice(4);
    if (run === undefined || taskItem === undefined) throw new Error("There are a run and a task.");
    const nobody = { hasRun: () => false, hasTombstone: () => false };
    expect(() => assertOwners([run, taskItem], nobody)).not.toThrow();
    expect(() => assertOwners([taskItem], { ...nobody, hasRun: () => true })).not.toThrow();
    expect(() => assertOwners([taskItem], nobody)).toThrow(/A task of "r" cannot be imported/);
    const [, gone, key] = allPages(100_000);
    if (gone === undefined || key === undefined)
      throw new Error("There are a tombstone and a key.");
    expect(() => assertOwners([gone, key], nobody)).not.toThrow();
    expect(() => assertOwners([key], { ...nobody, hasTombstone: () => true })).not.toThrow();
    expect(() => assertOwners([key], { ...nobody, hasRun: () => true })).toThrow(/A key of "gone"/);
  });

  test("counts with its texts, as all items do", () => {
    const sizes = allPages(100_000).map(itemBytes);
    expect(Math.min(...sizes)).toBeGreaterThan(0);
    const [value] = allPages(1);
    const long = { ...value, value: "x".repeat(1_000) } as StoredItem;
    expect(itemBytes(long)).toBeGreaterThan(1_000);
  });
});

describe("an inbox that is restored", () => {
  test("takes each signal once, read or not", () => {
    const inbox = new Inbox();
    const signal = { id: "s", topic: "t", ref: null };
    expect([inbox.restore(signal, true), inbox.restore(signal, false)]).toEqual([true, false]);
    expect(inbox.restore({ ...signal, id: "u" }, false)).toBe(true);
    expect(inbox.list().map(({ id }) => id)).toEqual(["u"]);
    expect(inbox.size).toBe(2);
  });
});

describe("the place of an export in a store with tables", () => {
  test("goes through the tables, each from row to row", () => {
    let place = itemPlace(undefined);
    expect(place).toEqual({ table: "values" });
    place = itemPlace(pageAfter(place, [], ["a key", 3]).next);
    expect(place).toEqual({ table: "values", keys: ["a key", 3] });
    const seen: string[] = [];
    for (let next = pageAfter(place, [], undefined).next; next !== undefined; ) {
      seen.push(next);
      next = pageAfter(itemPlace(next), [], undefined).next;
    }
    expect(seen).toEqual(itemTables.slice(1));
  });

  test.each(["", "nothing", "[]"])("%j is none", (after) => {
    expect(() => itemPlace(after)).toThrow("not one that exportRuns gave");
  });
});

describe("the mark of a copy", () => {
  test("says that nothing is to work on the store before its end", () => {
    const marked = (mark: object) => ({ value: JSON.stringify(mark), version: 1 });
    expect(copyMark(undefined)).toBeUndefined();
    expect(() => assertCopied("s", undefined)).not.toThrow();
    expect(() => assertCopied("s", marked({ createdAt: 1, finishedAt: 2 }))).not.toThrow();
    expect(() => assertCopied("s", marked({ createdAt: 1 }))).toThrow(/begun and not ended/);
  });
});
