import { ManualClock, type RunWrite, type Storage } from "pawl/adapter-kit";
import { describe, expect, test } from "vitest";
import { insertLoneTask } from "../../src/storage/sqlite/task-row.js";
import {
  claim,
  connected,
  create,
  leased,
  newPath,
  newRun,
  opened,
  sqliteError,
  type Tampering,
  tampered,
  task,
} from "./sqlite-fixture.js";

function write(runId: string, seq: number, parts: Partial<RunWrite> = {}): RunWrite {
  const tasks = [task(`task ${seq}`, seq)];
  return { runId, writeId: `${runId} ${seq}`, guard: { epoch: 1 }, tasks, ...parts };
}

/** A storage with a run that is held, and what happens to its statements from then on. */
async function heldRun(
  tamper: Tampering,
  path = newPath(),
): Promise<{ storage: Storage; seen: string[] }> {
  const seen: string[] = [];
  let ready = false;
  const driver = tampered((sql, values, execute) => {
    if (!ready) return execute();
    seen.push(sql);
    return tamper(sql, values, execute);
  });
  const storage = await opened(path, { driver });
  await create(storage, leased("r"), leased("other"));
  ready = true;
  return { storage, seen };
}

const unchanged: Tampering = (_sql, _values, execute) => execute();

async function paths(storage: Storage, runId = "r"): Promise<string[]> {
  return (await storage.listTasks(runId, 0, 1e6)).tasks.map(({ path }) => path);
}

describe("calls of one turn share a transaction", () => {
  test("whatever they are", async () => {
    const { storage, seen } = await heldRun(unchanged);
    const created = storage.createRuns([{ createId: "c", groups: [{ first: newRun("new") }] }]);
    const commits = Array.from({ length: 50 }, (_, index) =>
      storage.commit([write("r", index + 1)]),
    );
    const value = storage.setValue("key", "value");
    const claimed = await storage.claimRuns(claim());
    await Promise.all([...commits, created, value]);
    expect(seen.filter((sql) => sql === "commit")).toHaveLength(1);
    expect(seen).not.toContain(insertLoneTask);
    expect(claimed.runs.map(({ run }) => run.id)).toEqual(["new"]);
    expect(await paths(storage)).toHaveLength(50);
  });

  test("up to a thousand elements; then others get their turn", async () => {
    const { storage, seen } = await heldRun(unchanged);
    const writes = Array.from({ length: 2_500 }, (_, index) => write("r", index + 1));
    const results = await storage.commit(writes);
    expect(results.every(({ result }) => result === "ok")).toBe(true);
    expect(seen.filter((sql) => sql === "commit")).toHaveLength(3);
  });

  test("two task records take a transaction, and read nothing of runs that this process holds", async () => {
    const { storage, seen } = await heldRun(unchanged);
    await storage.commit([write("r", 1), write("other", 1)]);
    expect(seen.map((sql) => sql.split(" ", 2).join(" "))).toEqual([
      "begin immediate",
      "pragma data_version",
      "insert or",
      "insert or",
      "commit",
    ]);
  });
});

describe("an element that cannot be written", () => {
  const poisoned: Tampering = (sql, values, execute) => {
    if (sql.startsWith("insert") && JSON.stringify(values).includes("poison")) {
      throw sqliteError("SQLITE_TOOBIG", 18);
    }
    return execute();
  };
  const poison = { tasks: [task("good", 2), task("bad", 3, { output: "poison" })] };

  test("is refused alone, with the reason", async () => {
    const { storage } = await heldRun(poisoned);
    const writes = [write("r", 1), write("r", 2, poison), write("r", 4), write("other", 1)];
    const results = await storage.commit(writes);
    expect(results.map(({ result }) => result)).toEqual(["ok", "rejected", "ok", "ok"]);
    expect(results[1]).toMatchObject({
      reason: "made up: SQLITE_TOOBIG",
      epoch: 1,
      status: "EXECUTING",
    });
    expect(await paths(storage)).toEqual(["task 1", "task 4"]);
    expect(await paths(storage, "other")).toEqual(["task 1"]);
  });

  test("is refused without harm to other calls of the turn", async () => {
    const { storage } = await heldRun(poisoned);
    const [good, bad, value] = await Promise.all([
      storage.commit([write("r", 1)]),
      storage.commit([write("r", 2, poison)]),
      storage.setValue("key", "value"),
    ]);
    expect([good[0]?.result, bad[0]?.result, value.ok]).toEqual(["ok", "rejected", true]);
  });

  test("is refused in every method", async () => {
    const { storage } = await heldRun(poisoned);
    const first = newRun("r2", { payload: "poison" });
    const [created] = await storage.createRuns([
      { createId: "c", groups: [{ first: newRun("r1") }, { first }] },
    ]);
    expect(created).toMatchObject({ result: "rejected", reason: "made up: SQLITE_TOOBIG" });
    expect(await storage.getRuns(["r1", "r2"])).toEqual([undefined, undefined]);
    await expect(storage.setValue("key", "poison")).rejects.toThrow("made up: SQLITE_TOOBIG");
  });

  test("is refused if it uses a seq twice", async () => {
    const { storage } = await heldRun(unchanged);
    const tasks = [task("a", 1), task("b", 1)];
    const [result] = await storage.commit([write("r", 1, { tasks })]);
    expect(result).toMatchObject({ result: "rejected", reason: "Seq 1 is used twice." });
    expect(await paths(storage)).toEqual([]);
  });

  test("fails with the storage, if not even the state of its run can be read", async () => {
    let broken = false;
    const { storage } = await heldRun((sql, values, execute) => {
      if (broken && sql.includes("from pawl_runs where id")) throw sqliteError("SQLITE_IOERR", 10);
      broken ||= JSON.stringify(values).includes("poison");
      return poisoned(sql, values, execute);
    });
    const call = storage.commit([write("r", 3, { tasks: [task("bad", 3, { output: "poison" })] })]);
    await expect(call).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    broken = false;
    expect((await storage.commit([write("r", 1)]))[0]?.result).toBe("ok");
  });

  test("is refused if a value is not of its type", async () => {
    const { storage } = await heldRun(unchanged);
    const wrong = [
      task("bool", 1, { output: true as unknown as string }),
      task("none", 2, { kind: null as unknown as string }),
    ];
    const results = await storage.commit(
      wrong.map((each) => write("r", each.seq, { tasks: [each] })),
    );
    expect(results.map(({ result }) => result)).toEqual(["rejected", "rejected"]);
    expect(await paths(storage)).toEqual([]);
  });
});

describe("a storage that fails", () => {
  test.each([
    ["a lone record", [task("task 1", 1)], insertLoneTask],
    ["a transaction", [task("task 1", 1), task("task 2", 2)], "commit"],
  ])(
    "never answers ok for %s that may not be durable, and knows the write when it comes again",
    async (_, tasks, commit) => {
      let failures = 1;
      const { storage } = await heldRun((sql, _values, execute) => {
        const result = execute();
        if (sql === commit && failures-- > 0) throw sqliteError("SQLITE_IOERR", 10);
        return result;
      });
      const commits = () => storage.commit([write("r", 1, { tasks })]);
      await expect(commits()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      expect((await commits())[0]?.result).toBe("ok");
      expect(await paths(storage)).toEqual(tasks.map(({ path }) => path));
      expect(failures).toBeLessThan(1);
    },
  );

  test("does not take back what became durable before", async () => {
    const { storage } = await heldRun((_sql, values, execute) => {
      if (JSON.stringify(values).includes("task 2")) throw sqliteError("SQLITE_IOERR", 10);
      return execute();
    });
    const [first, second, third] = await Promise.allSettled([
      storage.commit([write("r", 1)]),
      storage.commit([write("r", 2)]),
      storage.commit([write("r", 3)]),
    ]);
    expect([first.status, second.status, third.status]).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect(await paths(storage)).toEqual(["task 1", "task 3"]);
  });

  test("says that the disk is full, and goes on when it is not any more", async () => {
    let full = true;
    const { storage } = await heldRun((sql, _values, execute) => {
      if (sql.startsWith("insert") && full) throw sqliteError("SQLITE_FULL", 13);
      return execute();
    });
    await expect(storage.commit([write("r", 1)])).rejects.toMatchObject({ code: "STORAGE_FULL" });
    full = false;
    expect((await storage.commit([write("r", 1)]))[0]?.result).toBe("ok");
  });

  test("waits for a lock that somebody else holds", async () => {
    const path = newPath();
    const other = connected(path);
    const { storage, seen } = await heldRun((sql, _values, execute) => {
      // The third try finds the lock free.
      if (sql === "begin immediate" && seen.filter((each) => each === sql).length === 3)
        other.exec("rollback");
      return execute();
    }, path);
    other.exec("begin immediate");
    const tasks = [task("task 1", 1), task("task 2", 2)];
    const [result] = await storage.commit([write("r", 1, { tasks })]);
    expect(result?.result).toBe("ok");
    expect(seen.filter((sql) => sql === "begin immediate")).toHaveLength(3);
  });

  // libsql leaves a refused statement open, and with it every snapshot that is read from then on.
  test("with a lone record waits for a lock, reads meanwhile, and writes after the other has", async () => {
    const path = newPath();
    const other = connected(path);
    const { storage, seen } = await heldRun(unchanged, path);
    other.exec("begin immediate");
    const written = storage.commit([write("r", 1)]);
    await expect.poll(() => seen).toContain("begin immediate");
    expect(await paths(storage)).toEqual([]);
    other.exec("insert into pawl_values (key, value, version) values ('by', 'other', 1)");
    other.exec("commit");
    expect((await written)[0]?.result).toBe("ok");
    expect(await paths(storage)).toEqual(["task 1"]);
    expect(await storage.getValue("by")).toMatchObject({ value: "other" });
    seen.length = 0;
    await storage.commit([write("r", 2)]);
    expect(seen, "a file that others write to").toContain("begin immediate");
  });

  test("of a lone record that may be durable although its statement failed knows that it may", async () => {
    let fails = false;
    const { storage } = await heldRun((sql, _values, execute) => {
      const answer = execute();
      if (sql === insertLoneTask && fails) {
        fails = false;
        throw sqliteError("SQLITE_IOERR", 10);
      }
      return answer;
    });
    await storage.commit([write("r", 1)]);
    fails = true;
    await expect(storage.commit([write("r", 2)])).rejects.toThrow();
    const tasks = [task("task 2", 3)];
    const [again] = await storage.commit([write("r", 3, { tasks })]);
    expect(again?.result).toBe("rejected");
    expect(await paths(storage)).toEqual(["task 1", "task 2"]);
  });

  test("takes no transaction for a lone record, and a fresh look at a run that somebody has changed", async () => {
    const path = newPath();
    const { storage, seen } = await heldRun(unchanged, path);
    await storage.commit([write("r", 1)]);
    expect(seen).toEqual([insertLoneTask]);
    connected(path).exec("update pawl_runs set inbox = 7 where id = 'r'");
    const [result] = await storage.commit([write("r", 2)]);
    expect(result).toMatchObject({ result: "ok", inbox: 7 });
    expect(seen).toContain("begin immediate");
    connected(path).exec("update pawl_runs set epoch = 2 where id = 'r'");
    const [fenced] = await storage.commit([write("r", 3)]);
    expect(fenced).toMatchObject({ result: "fenced", epoch: 2 });
    expect(await paths(storage)).toEqual(["task 1", "task 2"]);
  });

  test("writes what it was given before it was closed", async () => {
    const path = newPath();
    const { storage } = await heldRun(unchanged, path);
    const writes = Array.from({ length: 1_500 }, (_, index) => write("r", index + 1));
    const [results] = await Promise.all([storage.commit(writes), storage.close()]);
    expect(results).toHaveLength(1_500);
    expect(await paths(await opened(path))).toHaveLength(1_500);
  });
});

describe("what a commit of task records touches (S12)", () => {
  test("not the run row, and no mark of the clock", async () => {
    const path = newPath();
    const clock = new ManualClock();
    const storage = await opened(path, { clock });
    await create(storage, leased("r"));
    const connection = connected(path);
    connection.exec(
      "create table touched (what text); " +
        "create trigger t1 after update on pawl_runs begin insert into touched values ('run'); end; " +
        "create trigger t2 after update on pawl_meta begin insert into touched values ('meta'); end;",
    );
    const touched = () => connection.prepare("select what from touched").all([]).flat();
    clock.advance(1_000);
    await storage.commit([write("r", 1), write("r", 2)]);
    await storage.commit([
      write("missing", 1),
      write("r", 3, { guard: { epoch: 9 } }),
      write("r", 2),
    ]);
    expect(touched()).toEqual([]);
    const leaseUntil = clock.now() + 60_000;
    await storage.commit([write("r", 3, { leaseUntil }), write("r", 4, { leaseUntil })]);
    expect(touched()).toEqual(["run", "meta"]);
  });
});

describe("the clock of the file (E13)", () => {
  test("is ahead with the process that is ahead, from its claims on", async () => {
    const path = newPath();
    const [early, late] = [new ManualClock(), new ManualClock()];
    late.setWallTime(early.now() + 3_600_000);
    const here = await opened(path, { clock: early });
    const there = await opened(path, { clock: late });
    await create(there, newRun("r"));
    early.advance(5);
    late.advance(5);
    await there.claimRuns(claim({ leaseMs: 100 }));
    expect(await here.now()).toBe(late.now());
    early.advance(70);
    expect(await here.now()).toBe(late.now() + 70);
    expect(await here.claimRuns(claim({ claimId: "too early" }))).toMatchObject({
      runs: [],
      nextDue: late.now() + 100,
    });
    early.advance(30);
    expect((await here.claimRuns(claim({ claimId: "lapsed" }))).runs).toHaveLength(1);
  });

  test("goes on when the wall clock is set back", async () => {
    const clock = new ManualClock();
    const storage = await opened(newPath(), { clock });
    await create(storage, newRun("r"));
    await storage.claimRuns(claim());
    const before = await storage.now();
    clock.setWallTime(before - 3_600_000);
    expect(await storage.now()).toBe(before);
    clock.advance(10);
    expect(await storage.now()).toBe(before + 10);
  });

  test("gives instants of creation that rise with the order of creation", async () => {
    const path = newPath();
    const [ahead, behind] = [new ManualClock(), new ManualClock()];
    ahead.setWallTime(behind.now() + 1_000);
    const first = await opened(path, { clock: ahead });
    const second = await opened(path, { clock: behind });
    await create(first, newRun("a"));
    await create(second, newRun("b"));
    const [a, b] = await second.getRuns(["a", "b"]);
    expect(b?.createdAt).toBe(a?.createdAt);
    const from = await second.listRuns({ limit: 9, createdFrom: ahead.now() });
    expect(from.runs.map(({ id }) => id)).toEqual(["b", "a"]);
  });
});

describe("two connections on one file", () => {
  test("what one changed, the other does not take for what it knew", async () => {
    const path = newPath();
    const [here, there] = [await opened(path), await opened(path)];
    await create(here, leased("r"));
    expect((await here.commit([write("r", 1)]))[0]?.result).toBe("ok");
    await there.commit([
      {
        runId: "r",
        writeId: "cancel",
        guard: {},
        run: { status: "WAITING" },
        release: { wakeAt: null, wakeSignals: 1 },
      },
    ]);
    expect((await here.commit([write("r", 2)]))[0]).toMatchObject({ result: "fenced", epoch: 2 });
  });

  test("the same after a hint has looked", async () => {
    const path = newPath();
    const [here, there] = [await opened(path), await opened(path)];
    await create(here, leased("r"));
    await here.commit([write("r", 1)]);
    const hinted = new Promise<void>((resolve) => void here.subscribe?.(() => resolve()));
    await there.commit([{ runId: "r", writeId: "end", guard: {}, run: { status: "CANCELED" } }]);
    await hinted;
    expect((await here.commit([write("r", 2)]))[0]).toMatchObject({
      result: "final",
      status: "CANCELED",
    });
  });

  test("one's own writes are no hint", async () => {
    const storage = await opened(newPath());
    let hints = 0;
    const end = await storage.subscribe?.(() => hints++);
    await create(storage, newRun("r"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await end?.();
    expect(hints).toBe(0);
  });
});
