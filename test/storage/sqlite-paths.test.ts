import type { CommitOutcome, RunWrite, Storage, TaskWrite } from "pawl/adapter-kit";
import { describe, expect, test } from "vitest";
import { Database } from "../../src/storage/sqlite/database.js";
import { DriverFinder } from "../../src/storage/sqlite/load-driver.js";
import { RecordedPaths } from "../../src/storage/sqlite/recorded-paths.js";
import { connected, create, leased, newPath, opened, tampered, task } from "./sqlite-fixture.js";

let writes = 0;

async function record(
  storage: Storage,
  tasks: readonly TaskWrite[],
  parts: Partial<RunWrite> = {},
): Promise<CommitOutcome | undefined> {
  const write = { runId: "r", writeId: `w${writes++}`, guard: { epoch: 1 }, tasks, ...parts };
  const [result] = await storage.commit([write]);
  return result?.result;
}

async function paths(storage: Storage): Promise<string[]> {
  return (await storage.listTasks("r", 0, 1e6)).tasks.map(({ path }) => path);
}

describe("a path that has a record is not recorded anew", () => {
  test("when another connection wrote it", async () => {
    const path = newPath();
    const [ours, theirs] = [await opened(path), await opened(path)];
    await create(ours, leased("r"));
    expect(await record(ours, [task("a", 1)])).toBe("ok");
    expect(await record(theirs, [task("b", 2), task("c", 3)])).toBe("ok");
    expect(await record(ours, [task("c", 4)])).toBe("rejected");
    expect(await record(theirs, [task("a", 4)])).toBe("rejected");
    expect(await record(ours, [task("d", 4)])).toBe("ok");
    expect(await paths(ours)).toEqual(["a", "b", "c", "d"]);
  });

  test("when another connection wrote it with the seq of a lone record", async () => {
    const path = newPath();
    const [ours, theirs] = [await opened(path), await opened(path)];
    await create(ours, leased("r"));
    // Nothing told `ours` that it is not alone.
    expect(await record(theirs, [task("a", 1)])).toBe("ok");
    expect(await record(ours, [task("a", 1)])).toBe("rejected");
    expect(await record(ours, [task("a", 2)])).toBe("rejected");
    expect(await paths(ours)).toEqual(["a"]);
  });

  test("when it was replaced since", async () => {
    const storage = await opened(newPath());
    await create(storage, leased("r"));
    await record(storage, [task("a", 1, { status: "WAITING", output: null, finishedAt: null })]);
    await record(storage, [{ ...task("a", 2), replaces: 1 }]);
    expect(await record(storage, [task("a", 3)])).toBe("rejected");
    expect(await record(storage, [task("b", 3)])).toBe("ok");
  });

  test("when it was taken back with the transaction, it may be", async () => {
    const storage = await opened(newPath());
    await create(storage, leased("r"));
    const both = [task("a", 1), task("a", 2)];
    expect(await record(storage, both)).toBe("rejected");
    expect(await record(storage, [task("a", 1)])).toBe("ok");
  });
});

test("a run that waits again and again does not have its records read again", async () => {
  const reads: string[] = [];
  const driver = tampered((sql, _values, execute) => {
    if (sql.startsWith("select path")) reads.push(sql);
    return execute();
  });
  const storage = await opened(newPath(), { driver });
  await create(storage, leased("r"));
  for (let round = 0; round < 10; round++) {
    const seq = 2 * round + 1;
    const waiting = task(`wait ${round}`, seq, {
      status: "WAITING",
      output: null,
      finishedAt: null,
      wakeAt: 5,
    });
    expect(await record(storage, [waiting])).toBe("ok");
    const fired = { ...task(`wait ${round}`, seq + 1), replaces: seq };
    expect(await record(storage, [fired])).toBe("ok");
  }
  expect(reads).toEqual([]);
});

describe("what is known of paths", () => {
  function knownOf(most: number): RecordedPaths {
    const path = newPath();
    const plain = connected(path);
    plain.exec("create table pawl_tasks (rk, path, seq)");
    for (const rk of [1, 2, 3]) plain.exec(`insert into pawl_tasks values (${rk}, 'run ${rk}', 1)`);
    return new RecordedPaths(new Database(new DriverFinder().find("libsql"), path), most);
  }

  test("is read when it is needed, and again for a run that has another row", () => {
    const known = knownOf(100);
    expect(known.has("r", 1, "run 1")).toBe(true);
    expect(known.has("r", 2, "run 1")).toBe(false);
    expect(known.has("r", 2, "run 2")).toBe(true);
  });

  test("is given up for some of the runs if there are too many, and stays right", () => {
    const known = knownOf(20);
    for (let round = 0; round < 10; round++) {
      for (const rk of [1, 2, 3]) {
        expect(known.has(`r${rk}`, rk, `run ${rk}`)).toBe(true);
        expect(known.has(`r${rk}`, rk, "new")).toBe(false);
      }
      const kept = [1, 2, 3].filter((rk) => known.isFreeAt(`r${rk}`, rk, "new", 2));
      expect(kept).toHaveLength(2);
      expect(kept).toContain(3);
    }
  });

  test("of what a transaction wrote is forgotten with it, and of other runs is not", () => {
    const known = knownOf(100);
    known.has("r1", 1, "run 1");
    known.has("r2", 2, "run 2");
    known.begin();
    known.add("r1", "new", 2);
    known.end(false);
    expect(known.isFreeAt("r1", 1, "new", 2)).toBe(false);
    expect(known.has("r1", 1, "new")).toBe(false);
    expect(known.isFreeAt("r2", 2, "new", 2)).toBe(true);
    known.begin();
    known.add("r1", "new", 2);
    known.end(true);
    expect(known.has("r1", 1, "new")).toBe(true);
  });

  test("of one run may be more than all that is kept", () => {
    const known = knownOf(20);
    known.startsEmpty("big", 9);
    for (let seq = 1; seq <= 100; seq++) known.add("big", `task ${seq}`, seq);
    expect(known.has("big", 9, "task 1")).toBe(true);
    expect(known.isFreeAt("big", 9, "task 101", 101)).toBe(true);
  });
});
