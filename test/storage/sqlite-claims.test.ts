import { ManualClock, type NewRun, type Storage } from "pawl/adapter-kit";
import { describe, expect, test } from "vitest";
import { createJobLists } from "../../src/storage/sqlite/job-lists.js";
import {
  claim,
  connected,
  create,
  newPath,
  newRun,
  opened,
  sqliteError,
  tampered,
} from "./sqlite-fixture.js";

async function storageWith(...runs: NewRun[]): Promise<Storage> {
  const storage = await opened(newPath(), { durability: "relaxed" });
  await create(storage, ...runs);
  return storage;
}

const many = (count: number, of: (index: number) => NewRun): NewRun[] =>
  Array.from({ length: count }, (_, index) => of(index));

async function taken(storage: Storage, parts: Parameters<typeof claim>[0]): Promise<string[]> {
  const { runs } = await storage.claimRuns(claim(parts));
  return runs.map(({ run }) => run.id);
}

describe("a claim behind a backlog", () => {
  test("of another job finds its own runs, in order", async () => {
    const storage = await storageWith(
      ...many(1_500, (index) => newRun(`other ${index}`, { jobId: "other", wakeAt: index })),
      ...many(40, (index) => newRun(`mine ${index}`, { wakeAt: 5_000 - index })),
      newRun("urgent", { wakeAt: 9_000, priority: 1 }),
    );
    const expected = [
      "urgent",
      ...many(40, (index) => newRun(`mine ${39 - index}`)).map(({ id }) => id),
    ];
    expect(await taken(storage, { limit: 25 })).toEqual(expected.slice(0, 25));
    expect(await taken(storage, { claimId: "2", limit: 25 })).toEqual(expected.slice(25));
    expect(await taken(storage, { claimId: "3", limit: 25 })).toEqual([]);
  });

  test("of saturated keys passes over it, and takes no more than the slots", async () => {
    const storage = await storageWith(
      ...many(600, (index) => newRun(`a ${index}`, { limitKeys: ["account/a"], wakeAt: index })),
      ...many(600, (index) =>
        newRun(`b ${index}`, { limitKeys: ["account/b", "all/1"], wakeAt: 600 + index }),
      ),
      newRun("free", { wakeAt: 5_000 }),
      newRun("c", { limitKeys: ["account/c"], wakeAt: 4_000 }),
    );
    const limits = { account: 2, all: 1 };
    expect(await taken(storage, { limits, limit: 100 })).toEqual([
      "a 0",
      "a 1",
      "b 0",
      "c",
      "free",
    ]);
    const again = await storage.claimRuns(claim({ claimId: "2", limits }));
    expect(again).toMatchObject({ runs: [], nextDue: again.now + 30_000 });
  });

  test("of suspects takes one of them at most", async () => {
    const clock = new ManualClock();
    const storage = await opened(newPath(), { clock, durability: "relaxed" });
    await create(storage, ...many(400, (index) => newRun(`bad ${index}`, { wakeAt: index })));
    for (let stall = 0; stall < 3; stall++) {
      await storage.claimRuns(claim({ claimId: `stall ${stall}`, limit: 1_000, suspects: 1 }));
      clock.advance(30_000);
    }
    await create(storage, newRun("good", { wakeAt: 1_000 }));
    expect(await taken(storage, { claimId: "none", suspects: 0 })).toEqual(["good"]);
    expect(await taken(storage, { claimId: "one", suspects: 1 })).toEqual(["bad 0"]);
  });

  test("of another job's future looks again no later than its own run is due", async () => {
    const storage = await storageWith();
    const now = await storage.now();
    await create(
      storage,
      ...many(400, (index) =>
        newRun(`other ${index}`, { jobId: "other", wakeAt: now + 10 + index }),
      ),
      newRun("mine", { wakeAt: now + 1_000 }),
    );
    const { nextDue } = await storage.claimRuns(claim());
    expect(nextDue).toBeGreaterThan(now);
    expect(nextDue).toBeLessThanOrEqual(now + 1_000);
  });
});

describe("what a claim costs", () => {
  test("at rest it takes no lock", async () => {
    const seen: string[] = [];
    const driver = tampered((sql, _values, execute) => {
      seen.push(sql);
      return execute();
    });
    const storage = await opened(newPath(), { driver });
    await create(storage, newRun("later", { wakeAt: 9e15 }), newRun("other", { jobId: "other" }));
    seen.length = 0;
    await Promise.all([storage.claimRuns(claim()), storage.claimRuns(claim({ limit: 0 }))]);
    expect(seen).not.toContain("begin immediate");
    await create(storage, newRun("now"));
    seen.length = 0;
    await storage.claimRuns(claim());
    expect(seen.filter((sql) => sql === "commit")).toHaveLength(1);
  });

  test("the runs that it may take do not matter, only those that it takes", async () => {
    let rows = 0;
    const driver = tampered((_sql, _values, execute) => {
      const result = execute();
      if (Array.isArray(result)) rows += Array.isArray(result[0]) ? result.length : 1;
      return result;
    });
    const storage = await opened(newPath(), { driver, durability: "relaxed" });
    const limited = { limitKeys: ["account/a"] };
    await create(
      storage,
      ...many(3_000, (index) => newRun(`r${index}`, index % 2 === 0 ? limited : {})),
    );
    rows = 0;
    const limits = { account: 1 };
    expect((await storage.claimRuns(claim({ limits, limit: 5 }))).runs).toHaveLength(5);
    expect(rows).toBeLessThan(100);
  });
});

describe("a claim of a process that knows very many jobs", () => {
  test("behind a backlog looks at the lanes of those that have open runs", async () => {
    let calls = 0;
    const driver = tampered((_sql, _values, execute) => {
      calls++;
      return execute();
    });
    const storage = await opened(newPath(), { driver, durability: "relaxed" });
    await create(
      storage,
      ...many(1_000, (index) => newRun(`other ${index}`, { jobId: "other", wakeAt: index })),
      newRun("mine", { jobId: "job 700", wakeAt: 2_000 }),
    );
    calls = 0;
    const jobIds = Array.from({ length: 1_000 }, (_, index) => `job ${index}`);
    expect(await taken(storage, { jobIds, limit: 5 })).toEqual(["mine"]);
    expect(calls).toBeLessThan(60);
  });
});

describe("the jobs that a claim names", () => {
  test("may be others each time", async () => {
    const jobs = many(50, (index) => newRun(`run ${index}`, { jobId: `job ${index}` }));
    const storage = await storageWith(...jobs);
    for (const [index, { id, jobId }] of jobs.entries()) {
      const found = await taken(storage, { claimId: id, jobIds: ["nobody", jobId], limit: 5 });
      expect(found).toEqual([id]);
      expect(await taken(storage, { claimId: `none ${index}`, jobIds: ["nobody"] })).toEqual([]);
    }
  });

  test("are many, and each finds its own", async () => {
    const jobIds = Array.from({ length: 1_000 }, (_, index) => `job ${index}`);
    const storage = await storageWith(
      newRun("last", { jobId: "job 999" }),
      newRun("other", { jobId: "job 1000" }),
      newRun("first", { jobId: "job 0", wakeAt: 5 }),
    );
    expect(await taken(storage, { jobIds, limit: 5 })).toEqual(["last", "first"]);
    expect(await taken(storage, { claimId: "2", jobIds: [], limit: 5 })).toEqual([]);
  });

  test("are known again after a claim that was rolled back", async () => {
    let fails = false;
    const driver = tampered((sql, _values, execute) => {
      if (!fails || !sql.startsWith("update pawl_runs set epoch")) return execute();
      fails = false;
      throw sqliteError("SQLITE_IOERR", 10);
    });
    const storage = await opened(newPath(), { driver, durability: "relaxed" });
    await create(storage, newRun("mine"), newRun("other", { jobId: "other" }));
    expect(await taken(storage, {})).toEqual(["mine"]);
    fails = true;
    const other = { claimId: "2", jobIds: ["other"] };
    await expect(storage.claimRuns(claim(other))).rejects.toThrow();
    expect(fails).toBe(false);
    expect(await taken(storage, other)).toEqual(["other"]);
  });
});

describe("every query", () => {
  test("finds what it looks for through an index", async () => {
    const seen = new Set<string>();
    const driver = tampered((sql, _values, execute) => {
      if (/^(select|update|delete|with)/.test(sql)) seen.add(sql);
      return execute();
    });
    const path = newPath();
    await useEverything(await opened(path, { driver }));
    const connection = connected(path);
    connection.exec(createJobLists);
    const scans = new Set<string>();
    for (const sql of seen) {
      for (const step of connection.prepare(`explain query plan ${sql}`).all([])) {
        const text = String(step.at(-1));
        if (/^SCAN (pawl_|[a-z]\b)/.test(text)) scans.add(`${text}: ${sql.slice(0, 50)}`);
      }
    }
    expect(seen.size).toBeGreaterThan(40);
    expect([...scans].sort()).toEqual([
      // The last row only, all blocked runs, all deleted values, and what is counted as a whole.
      "SCAN pawl_runs USING INDEX pawl_runs_blocked: select rk, json_array(id, job_id, version, status,",
      "SCAN pawl_runs USING INDEX pawl_runs_blocked: select status, count(*) from pawl_runs indexed by ",
      "SCAN pawl_runs USING INDEX pawl_runs_over: select status, count(*) from pawl_runs indexed by ",
      "SCAN pawl_runs: select created_at from pawl_runs order by rk desc ",
      "SCAN pawl_values USING INDEX pawl_values_deleted: select key, version from pawl_values indexed by pa",
    ]);
  });
});

async function useEverything(storage: Storage): Promise<void> {
  await create(
    storage,
    newRun("a", {
      tags: ["x"],
      idempotencyKey: "k",
      limitKeys: ["u/1"],
      eventId: "e",
      parentId: "p",
    }),
    ...many(300, (index) => newRun(`b${index}`, { jobId: "other" })),
  );
  await storage.claimRuns(claim({ claimId: "1", limits: { u: 1 } }));
  await storage.claimRuns(claim({ claimId: "2", only: ["b1"], jobIds: ["other"] }));
  const parts = {
    path: "p",
    kind: "t",
    attempts: 0,
    output: null,
    error: null,
    startedAt: 1,
    finishedAt: null,
    data: null,
  };
  await storage.commit([
    {
      runId: "a",
      writeId: "w1",
      guard: { epoch: 1 },
      tasks: [{ ...parts, seq: 1, status: "WAITING", wakeAt: 5, topics: ["t"] }],
      run: { status: "WAITING", tags: ["y"] },
      logs: [
        { ordinal: 0, stream: "s", path: "p", level: "info", message: "m", data: null, at: 1 },
      ],
      signals: [{ runId: "b2", id: "s", topic: "t", ref: null }],
      watches: [{ targetId: "b2", signalId: "s2", topic: "x" }],
      values: [{ key: "v", value: "1" }],
      release: { wakeAt: 0, wakeSignals: 1 },
    },
  ]);
  await storage.claimRuns(claim({ claimId: "3" }));
  await storage.commit([
    {
      runId: "a",
      writeId: "w2",
      guard: {},
      tasks: [{ ...parts, seq: 2, status: "COMPLETED", wakeAt: null, replaces: 1 }],
      signalsRead: ["s"],
      run: { status: "COMPLETED" },
    },
  ]);
  await storage.listWaiting(["t"], { limit: 4 });
  await storage.listSignals("a");
  await storage.listLogs("a", { limit: 4, after: 3 });
  await storage.listTasks("a", 0, 100);
  const times = { createdFrom: 1, createdTo: 9e15 };
  const queries = [
    {},
    { tag: "x" },
    { eventId: "e" },
    { parentId: "p" },
    { jobIds: ["a"] },
    { blocked: true },
    times,
  ];
  for (const query of queries) await storage.listRuns({ limit: 10, ...query });
  await storage.listRuns({ limit: 10, statuses: ["COMPLETED", "QUEUED"], internal: true });
  await storage.listRuns({ limit: 10, statuses: ["COMPLETED", "QUEUED"] });
  await storage.countRuns();
  await storage.setValue("a", "b");
  await storage.listValues("a", { limit: 3, after: "a" });
  await storage.purge({ finishedBefore: 9e15, dedupeUntil: 1, limit: 5 });
}
