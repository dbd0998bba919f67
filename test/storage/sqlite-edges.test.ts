import { createRequire } from "node:module";
import type { RunWrite } from "pawl/adapter-kit";
import { afterEach, describe, expect, test, vi } from "vitest";
import { isPawlError } from "../../src/core/errors.js";
import type { DatabaseConstructor, NativeStatement } from "../../src/storage/sqlite/driver.js";
import { LockManners } from "../../src/storage/sqlite/lock-manners.js";
import { SqliteStorage } from "../../src/storage/sqlite/storage.js";
import {
  claim,
  connected,
  create,
  leased,
  newPath,
  newRun,
  opened,
  sqliteError,
  tampered,
  task,
} from "./sqlite-fixture.js";

afterEach(() => void vi.restoreAllMocks());

/** libsql in the shape of another driver. */
function shapedLike(
  name: string,
  reshape: (statement: NativeStatement) => object,
): DatabaseConstructor {
  const Libsql = createRequire(import.meta.url)("libsql") as DatabaseConstructor;
  class Shaped {
    readonly #inner: InstanceType<DatabaseConstructor>;

    constructor(path: string) {
      this.#inner = new Libsql(path);
    }

    prepare(sql: string): object {
      return reshape(this.#inner.prepare(sql));
    }

    exec(sql: string): void {
      this.#inner.exec(sql);
    }

    close(): void {
      this.#inner.close();
    }
  }
  Object.defineProperty(Shaped, "name", { value: name });
  return Shaped as unknown as DatabaseConstructor;
}

type Row = Record<string, unknown> & { _metadata?: unknown };

function columns({ _metadata, ...row }: Row): Record<string, unknown> {
  return row;
}

/** node:sqlite before 22.16 answers rows as objects only. */
const nodeWithObjects = shapedLike("DatabaseSync", (inner) => ({
  run: (...values: unknown[]) => inner.run(values),
  get: (...values: unknown[]) => {
    const row = inner.get(values) as Row | undefined;
    return row === undefined ? undefined : columns(row);
  },
  all: (...values: unknown[]) => (inner.all(values) as Row[]).map(columns),
}));

const nodeWithArrays = shapedLike("DatabaseSync", (inner) => ({
  setReturnArrays: () => inner.reader && inner.raw?.(true),
  run: (...values: unknown[]) => inner.run(values),
  get: (...values: unknown[]) => inner.get(values),
  all: (...values: unknown[]) => inner.all(values),
}));

const bun = shapedLike("Database", (inner) => {
  if (inner.reader) inner.raw?.(true);
  return {
    run: (...values: unknown[]) => inner.run(values),
    values: (...values: unknown[]) => inner.all(values),
  };
});

describe("a driver in the shape of", () => {
  test.each([
    ["node:sqlite before it answered arrays", nodeWithObjects],
    ["node:sqlite", nodeWithArrays],
    ["bun:sqlite", bun],
  ])("%s", async (_name, driver) => {
    const storage = await opened(newPath(), { driver });
    await create(
      storage,
      newRun("r", { tags: ["a", "b"] }),
      newRun("gone", { status: "CANCELED" }),
    );
    const { runs } = await storage.claimRuns(claim());
    expect(runs.map(({ run }) => [run.id, run.tags])).toEqual([["r", ["a", "b"]]]);
    const write: RunWrite = {
      runId: "r",
      writeId: "w",
      guard: { epoch: 1 },
      tasks: [task("t", 1)],
    };
    for (const _again of [1, 2]) expect((await storage.commit([write]))[0]?.result).toBe("ok");
    expect((await storage.listTasks("r", 0, 1_000)).tasks).toEqual([task("t", 1)]);
    expect(await storage.getRuns(["nobody"])).toEqual([undefined]);
    expect(await storage.countRuns()).toEqual({ EXECUTING: 1, CANCELED: 1 });
  });
});

describe("the lock among processes", () => {
  function mannersAt(times: { now: number; version: number }): {
    manners: LockManners;
    hints: () => number;
  } {
    vi.spyOn(performance, "now").mockImplementation(() => times.now);
    let hints = 0;
    const database = { dataVersion: () => times.version } as never;
    return { manners: new LockManners(database, () => hints++), hints: () => hints };
  }

  test("is left free for a moment after a streak, if anybody else was ever seen", () => {
    const times = { now: 0, version: 1 };
    const { manners, hints } = mannersAt(times);
    manners.look();
    const workFor = (ms: number) => {
      times.now += ms;
      manners.released();
    };
    expect(manners.pauseBefore()).toBe(0);
    workFor(50);
    expect(manners.pauseBefore()).toBe(0);
    times.version = 2;
    manners.look();
    expect(hints()).toBe(1);
    for (let streak = 0; streak < 3; streak++) {
      expect(manners.pauseBefore()).toBe(0);
      workFor(19);
      expect(manners.pauseBefore()).toBe(0);
      workFor(2);
      expect(manners.pauseBefore()).toBe(5);
      times.now += 5;
    }
  });

  test("that is never given back ends the calls with an error, and those after it find it again", async () => {
    const path = newPath();
    const storage = await opened(path);
    await create(storage, leased("r"));
    const other = connected(path);
    other.exec("begin immediate");
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => {
      now += 4_000;
      return now;
    });
    const calls = [storage.setValue("a", "1"), storage.setValue("b", "1")];
    for (const { status } of await Promise.allSettled(calls)) expect(status).toBe("rejected");
    await expect(calls[0]).rejects.toThrow(/stayed locked by another process/);
    other.exec("rollback");
    expect(await storage.setValue("a", "1")).toEqual({ ok: true, version: 1 });
  });

  test("may be busy while a file is opened and read", async () => {
    let busy = 3;
    const driver = tampered((sql, _values, execute) => {
      if (/journal_mode|from pawl_runs where id/.test(sql) && busy-- > 0)
        throw sqliteError("SQLITE_BUSY", 5);
      return execute();
    });
    const storage = await opened(newPath(), { driver });
    busy = 2;
    expect(await storage.getRuns(["r"])).toEqual([undefined]);
    expect(busy).toBeLessThan(0);
  });
});

describe("a claim that cannot read", () => {
  test("fails as the driver says", async () => {
    let broken = false;
    const driver = tampered((sql, _values, execute) => {
      if (broken && sql.startsWith("select rk from pawl_runs where claim_id"))
        throw sqliteError("SQLITE_CORRUPT", 11);
      return execute();
    });
    const storage = await opened(newPath(), { driver });
    broken = true;
    await expect(storage.claimRuns(claim())).rejects.toMatchObject({ code: "STORAGE_CORRUPT" });
  });

  test("when not even the data version can be read, leaves no transaction open", async () => {
    let broken = false;
    const driver = tampered((sql, _values, execute) => {
      if (broken && sql === "pragma data_version") throw sqliteError("SQLITE_IOERR", 10);
      return execute();
    });
    const storage = await opened(newPath(), { driver });
    broken = true;
    await expect(storage.setValue("a", "1")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    broken = false;
    expect((await storage.setValue("a", "1")).ok).toBe(true);
  });
});

describe("hints", () => {
  const builtin = process.getBuiltinModule;

  function withFiles(files: object): void {
    vi.spyOn(process, "getBuiltinModule").mockImplementation(((name: string) =>
      name === "node:fs" ? files : builtin(name)) as never);
  }

  async function hinted(during: () => void = () => {}): Promise<void> {
    const path = newPath();
    const [here, there] = [await opened(path), await opened(path)];
    const hint = new Promise<void>((resolve) => void here.subscribe?.(() => resolve()));
    during();
    await there.setValue("a", "1");
    await hint;
  }

  test("come also where files cannot be watched", async () => {
    withFiles({
      watch: () => {
        throw new Error("ENOSPC: the limit of watchers is reached");
      },
    });
    await hinted();
  });

  test("come also after a watcher has failed", async () => {
    let fail: (() => void) | undefined;
    withFiles({
      watch: () => ({
        on: (_event: string, listener: () => void) => {
          fail = listener;
        },
        close: () => {},
      }),
    });
    await hinted(() => fail?.());
  });

  test("come on a change of the log", async () => {
    let changed: (() => void) | undefined;
    withFiles({
      watch: (_path: string, _options: object, listener: () => void) => {
        changed = listener;
        return { on: () => {}, close: () => {} };
      },
    });
    await hinted(() => {
      changed?.();
      changed?.();
    });
  });

  test("end when the file cannot be read any more", async () => {
    let looks = 0;
    let broken = false;
    const driver = tampered((sql, _values, execute) => {
      if (!broken || sql !== "pragma data_version") return execute();
      looks++;
      throw sqliteError("SQLITE_IOERR", 10);
    });
    withFiles({});
    const storage = await opened(newPath(), { driver });
    await storage.subscribe?.(() => {});
    broken = true;
    await vi.waitUntil(() => looks > 0);
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(looks).toBe(1);
  });
});

describe("small print", () => {
  test("a cursor that listRuns did not give is refused", async () => {
    const storage = await opened(newPath());
    await expect(storage.listRuns({ limit: 1, cursor: "nonsense" })).rejects.toMatchObject({
      code: "STORAGE_INVALID",
    });
  });

  test("a file that cannot be opened for another reason is named", async () => {
    const driver = tampered(() => {
      throw sqliteError("SQLITE_CANTOPEN", 14);
    });
    await expect(opened(newPath(), { driver })).rejects.toMatchObject({
      code: "STORAGE_PATH_INVALID",
    });
    vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never);
    await expect(opened(newPath(), { driver })).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });

  test("a storage may be closed before, during and after it is opened", async () => {
    const settings = {
      path: newPath(),
      driver: "libsql",
      durability: "full",
      readonly: false,
      clock: undefined,
    } as const;
    const clock = { now: () => 1, monotonic: () => 1, setTimer: () => () => {} };
    const storage = new SqliteStorage(settings);
    const opening = storage.init({ clock });
    await Promise.all([opening, storage.init({ clock }), storage.close(), storage.close()]);
    const error = await storage.init({ clock }).catch((reason: unknown) => reason);
    expect(isPawlError(error, "STORAGE_CLOSED")).toBe(true);
    await expect(storage.subscribe(() => {})).rejects.toMatchObject({ code: "STORAGE_CLOSED" });
  });

  test("versions of a deleted value are not given again, also when it was purged", async () => {
    const storage = await opened(newPath());
    await storage.setValue("a", "1");
    await storage.setValue("a", "2");
    await storage.deleteValue("a");
    await storage.purge({ finishedBefore: 0, dedupeUntil: 0, limit: 10 });
    expect(await storage.getValue("a")).toBeUndefined();
    expect(await storage.setValue("a", "3", 0)).toEqual({ ok: true, version: 4 });
  });

  test("a process that starts is noticed", async () => {
    const path = newPath();
    const storage = await opened(path);
    const noticed = new Promise<void>((resolve) => void storage.subscribe?.(() => resolve()));
    await opened(path);
    await noticed;
  });

  test("a run that is over is reopened with a release or not at all, also by who thinks to hold it", async () => {
    const storage = await opened(newPath());
    await create(storage, newRun("r", { status: "FAILED" }));
    const release = { wakeAt: 0, wakeSignals: 0 };
    const reopen = (writeId: string, parts: Partial<RunWrite>): RunWrite => ({
      runId: "r",
      writeId,
      guard: { epoch: 0 },
      reopen: true,
      ...parts,
    });
    const results = await storage.commit([
      reopen("1", { run: { status: "PENDING" } }),
      reopen("2", { run: { status: "PENDING" }, release }),
    ]);
    expect(results.map(({ result }) => result)).toEqual(["rejected", "ok"]);
    expect((await storage.getRuns(["r"]))[0]).toMatchObject({
      epoch: 1,
      generation: 2,
      dueAt: 0,
      finishedAt: null,
    });
  });

  test("statements of very many shapes do not pile up", async () => {
    const storage = await opened(newPath());
    await create(
      storage,
      ...Array.from({ length: 20 }, (_, index) => newRun(`r${index}`, { tags: [`t${index}`] })),
    );
    const columns = [
      "eventId",
      "parentId",
      "fingerprint",
      "meta",
      "state",
      "admitted",
      "output",
      "error",
      "parentPath",
      "idempotencyKey",
    ];
    const runs = Array.from({ length: 600 }, (_, shape) => {
      const set = columns.filter((_column, bit) => (shape >> bit) % 2 === 1);
      return newRun(
        `shape ${shape}`,
        Object.fromEntries(set.map((column) => [column, `${column} ${shape}`])),
      );
    });
    await create(storage, ...runs);
    expect((await storage.getRuns(["shape 1"]))[0]).toMatchObject({
      fingerprint: null,
      meta: null,
      eventId: "eventId 1",
    });
  });

  test("jobs beyond those with an index of their own are found, too", async () => {
    const storage = await opened(newPath());
    const jobs = Array.from({ length: 30 }, (_, index) => `job ${index}`);
    await create(
      storage,
      ...jobs.map((jobId) => newRun(`of ${jobId}`, { jobId })),
      newRun("other"),
    );
    const { runs } = await storage.listRuns({ limit: 100, jobIds: jobs });
    expect(runs).toHaveLength(30);
  });

  test("what is rare among many runs is found, what is common also", async () => {
    const storage = await opened(newPath(), { durability: "relaxed" });
    await create(
      storage,
      newRun("old and open", { tags: ["rare"] }),
      ...Array.from({ length: 2_100 }, (_, index) =>
        newRun(`r${index}`, { status: "COMPLETED", tags: ["common"] }),
      ),
    );
    const idsOf = async (query: object) =>
      (await storage.listRuns({ limit: 2, ...query })).runs.map(({ id }) => id);
    expect(await idsOf({ tag: "common" })).toEqual(["r2099", "r2098"]);
    expect(await idsOf({ tag: "rare" })).toEqual(["old and open"]);
    expect(await idsOf({ statuses: ["QUEUED"] })).toEqual(["old and open"]);
  });

  test("a run that another run makes is complete or refused", async () => {
    const storage = await opened(newPath());
    await create(storage, leased("r"));
    const write = (writeId: string, parts: Partial<RunWrite>): RunWrite => ({
      runId: "r",
      writeId,
      guard: { epoch: 1 },
      ...parts,
    });
    const results = await storage.commit([
      write("1", { runs: [newRun("a", { version: null as unknown as string })] }),
      write("2", { runs: [newRun("b", { idempotencyKey: "k" })] }),
      write("3", { runs: [newRun("c"), newRun("r")] }),
      write("4", { run: { limitKeys: ["a/1"] } }),
    ]);
    expect(results.map(({ result }) => result)).toEqual(["rejected", "rejected", "ok", "rejected"]);
    const made = await storage.getRuns(["a", "b", "c"]);
    expect(made.map((run) => run?.id)).toEqual([undefined, undefined, "c"]);
    const element = {
      createId: "x",
      groups: [{ first: newRun("d", { version: null as unknown as string }) }],
    };
    expect(await storage.createRuns([element])).toMatchObject([
      { result: "rejected", reason: "Run d lacks a value." },
    ]);
  });
});
