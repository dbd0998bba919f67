import { createClient, defineJob, invokeTrigger, type Storage } from "pawl";
import {
  type CopyProgress,
  copyStorage,
  ManualClock,
  type RunItem,
  type StorageMethod,
  type StoredItem,
  withFaults,
} from "pawl/adapter-kit";
import { MemoryData, memory } from "pawl/memory";
import { sqlite } from "pawl/sqlite";
import { describe, expect, test } from "vitest";
import { fileStorage } from "../../examples/custom-adapter.js";
import { codeOf } from "../engine/support.js";
import { withMethods } from "./broken.js";
import { expectToGoOnElsewhere, type Opener } from "./moving-app.js";
import { create, leased, newDirectory, newPath, newRun, opened, task } from "./sqlite-fixture.js";

function memoryStore(): Opener {
  const data = new MemoryData();
  return (clock) => memory({ data, clock });
}

function sqliteFile(): Opener {
  const path = newPath();
  return (clock) => sqlite({ path, clock });
}

function files(): Opener {
  const folder = newDirectory();
  return (clock) => {
    const storage = fileStorage(folder);
    // The clock of whoever opens it first is not that of the app.
    return withMethods(storage, { init: () => storage.init({ clock }) });
  };
}

const stores = { memory: memoryStore, sqlite: sqliteFile, files };

describe("an app with runs in every state", () => {
  test.each([
    ["memory", "sqlite"],
    ["sqlite", "memory"],
    ["sqlite", "sqlite"],
    ["sqlite", "files"],
    ["files", "memory"],
  ] as const)("goes on from %s in %s as if nothing had happened", async (source, target) => {
    await expectToGoOnElsewhere(stores[source], stores[target]);
  });
});

/** A file with a few runs, one of them held. */
async function someRuns(count = 3): Promise<string> {
  const path = newPath();
  const storage = await opened(path);
  await create(storage, leased("held"));
  for (let n = 0; n < count; n += 1) await create(storage, newRun(`run-${n}`));
  const tasks = [task("a", 1), task("b", 2)];
  await storage.commit([{ runId: "held", writeId: "w", guard: { epoch: 1 }, tasks }]);
  await storage.setValue("value", "1");
  return path;
}

/** What a store has in it, the mark of the copy left out. */
async function contents(storage: Storage): Promise<string[]> {
  const items: StoredItem[] = [];
  let after: string | undefined;
  do {
    const page = await storage.exportRuns?.({ byteBudget: 1_000, ...(after && { after }) });
    items.push(...(page?.items ?? []));
    after = page?.next;
  } while (after !== undefined);
  const own = items.filter((item) => item.kind !== "value" || item.key !== "$copy");
  return own.map((item) => JSON.stringify(item)).sort();
}

const open = (path: string) => sqlite({ path, driver: "libsql" });

/** Copies until the target's process "dies" in the n-th call of a method. */
async function broken(from: string, to: string, method: StorageMethod, call: number) {
  const target = open(to);
  let dead = () => {};
  const death = new Promise<"dead">((resolve) => {
    dead = () => resolve("dead");
  });
  const kind = call % 2 === 0 ? "crash-before" : "crash-after";
  const copying = copyStorage(open(from), withFaults(target, [{ method, call, kind }], dead));
  expect(await Promise.race([death, copying])).toBe("dead");
  await target.close();
}

describe("copyStorage", () => {
  test("says how much there was, and how far it has come", async () => {
    const seen: CopyProgress[] = [];
    const onProgress = (progress: CopyProgress) => seen.push(progress);
    const path = await someRuns();
    const summary = await copyStorage(open(path), memory(), { onProgress });
    const counts = { runs: 4, tasks: 2, signals: 0, logs: 0, values: 1, tombstones: 0, keys: 0 };
    // The clock of the test is behind that of the copy.
    expect(summary).toEqual({ ...counts, held: 0 });
    const last = (phase: string) => seen.filter((each) => each.phase === phase).at(-1)?.done;
    expect(last("copy")).toEqual(counts);
    expect(last("compare")).toEqual(counts);
    expect(seen.map(({ phase }) => phase).lastIndexOf("copy")).toBeLessThan(
      seen.map(({ phase }) => phase).indexOf("compare"),
    );
  });

  test.each([
    ["importRuns", [1, 2, 3]],
    ["setValue", [1, 2, 4, 5, 6, 8, 9]],
    ["getValue", [1]],
  ] as const)("broken off in %s it goes on, and nothing is doubled", async (method, calls) => {
    const path = await someRuns();
    for (const call of calls) {
      const to = newPath();
      await broken(path, to, method, call);
      await copyStorage(open(path), open(to)).catch((error: unknown) => {
        // The last call was that which says that it has ended.
        expect(error).toMatchObject({ code: "COPY_TARGET_NOT_EMPTY" });
      });
      expect(await contents(await opened(to))).toEqual(await contents(await opened(path)));
    }
  });

  test("no client works on half a copy", async () => {
    const path = await someRuns();
    const to = newPath();
    await broken(path, to, "importRuns", 2);
    const job = defineJob({ id: "other", trigger: invokeTrigger(), run: () => 1 });
    const client = createClient({ storage: open(to), jobs: [job] });
    expect(await codeOf(client.start())).toBe("COPY_UNFINISHED");
    expect(await codeOf(client.invoke("other"))).toBe("COPY_UNFINISHED");
    await copyStorage(open(path), open(to));
    const { id } = await client.invoke("other");
    await client.drain();
    expect((await client.getRun(id))?.status).toBe("COMPLETED");
    expect(await client.getRun("run-1")).toMatchObject({ jobId: "job", status: "QUEUED" });
    await client.stop();
    expect(await codeOf(copyStorage(open(to), memory()))).toBe("no error");
  });

  test("half a copy is no source", async () => {
    const path = await someRuns();
    const to = newPath();
    await broken(path, to, "importRuns", 2);
    expect(await codeOf(copyStorage(open(to), memory()))).toBe("COPY_UNFINISHED");
  });

  test("a failure of the target is told, and the next call goes on", async () => {
    const path = await someRuns();
    const to = newPath();
    const kind = "error-once";
    const failing = withFaults(open(to), [{ method: "importRuns", call: 3, kind }]);
    expect(await codeOf(copyStorage(open(path), failing))).toBe("STORAGE_FAILED");
    await copyStorage(open(path), open(to));
    expect(await contents(await opened(to))).toEqual(await contents(await opened(path)));
  });

  test("a target that holds something is refused and left alone", async () => {
    const path = await someRuns();
    const to = newPath();
    const target = await opened(to);
    await create(target, newRun("own"));
    const before = await contents(target);
    expect(await codeOf(copyStorage(open(path), open(to)))).toBe("COPY_TARGET_NOT_EMPTY");
    expect(await contents(target)).toEqual(before);
  });

  test("a copy that has ended is not made again", async () => {
    const path = await someRuns();
    const to = newPath();
    await copyStorage(open(path), open(to));
    const again = copyStorage(open(path), open(to));
    await expect(again).rejects.toThrow(/ended at .*nothing is left to do/);
  });

  test("a source that is written to meanwhile is noticed", async () => {
    const data = new MemoryData();
    const other = memory({ data });
    await other.init({ clock: new ManualClock() });
    await create(other, newRun("r"));
    const onProgress = ({ phase }: CopyProgress) => {
      if (phase === "copy") void other.setValue("late", "1");
    };
    const copying = copyStorage(memory({ data }), memory(), { onProgress });
    await expect(copying).rejects.toMatchObject({
      code: "COPY_MISMATCH",
      details: { kinds: ["values"], source: { values: 1 }, target: { values: 0 } },
    });
  });

  test("a record that is another one in the target is noticed", async () => {
    const path = await someRuns();
    const target = memory();
    const changing = withMethods(target, {
      importRuns: async (items) =>
        target.importRuns?.(
          items.map((item) =>
            item.kind === "task" ? { ...item, task: { ...item.task, output: "2" } } : item,
          ),
        ),
    });
    await expect(copyStorage(open(path), changing)).rejects.toMatchObject({
      code: "COPY_MISMATCH",
      details: { kinds: ["tasks"] },
    });
  });

  test("an adapter without the two methods is refused, whichever side it is on", async () => {
    const without = () => withMethods(memory(), {});
    const bare = (name: "exportRuns" | "importRuns") =>
      new Proxy(without(), {
        get: (target, member) => (member === name ? undefined : Reflect.get(target, member)),
      });
    expect(await codeOf(copyStorage(bare("exportRuns"), memory()))).toBe("COPY_UNSUPPORTED");
    expect(await codeOf(copyStorage(memory(), bare("importRuns")))).toBe("COPY_UNSUPPORTED");
  });

  test("one storage twice and an unknown option are mistakes", async () => {
    const storage = memory();
    expect(await codeOf(copyStorage(storage, storage))).toBe("OPTION_INVALID");
    expect(await codeOf(copyStorage(memory(), memory(), { fast: true } as never))).toBe(
      "OPTION_UNKNOWN",
    );
  });

  test("a file that is opened read-only is a source", async () => {
    const path = await someRuns();
    const { runs } = await copyStorage(sqlite({ path, readonly: true }), memory());
    expect(runs).toBe(4);
  });

  test("both storages are closed in the end", async () => {
    const storages = [open(await someRuns()), memory()] as const;
    await copyStorage(...storages);
    for (const storage of storages) expect(await codeOf(storage.now())).toBe("STORAGE_CLOSED");
  });

  test("effects that the source still keeps are delivered first", async () => {
    const data = new MemoryData();
    const source = memory({ data });
    let kept = 2;
    const delivering = withMethods(source, {
      deliver: async () => {
        await create(source, newRun(`kept-${kept}`));
        kept -= 1;
        return { left: kept };
      },
    });
    expect((await copyStorage(delivering, memory())).runs).toBe(2);
    const stuck = withMethods(memory(), { deliver: async () => ({ left: 1 }) });
    await expect(copyStorage(stuck, memory())).rejects.toThrow("keeps 1 effects");
  });

  test("runs of a fleet come in the order of their instants", async () => {
    const source = memory();
    await source.init({ clock: new ManualClock() });
    await create(source, newRun("r"));
    const [stored] = (await source.exportRuns?.({ byteBudget: 1 }))?.items ?? [];
    const { run } = stored as RunItem;
    const made = [5, 3, 4].map((createdAt) => {
      const id = `at-${createdAt}`;
      return { ...(stored as RunItem), run: { ...run, id, createdAt: run.createdAt + createdAt } };
    });
    await source.importRuns?.(made);
    const to = newPath();
    await copyStorage(source, open(to));
    const { runs } = await (await opened(to)).listRuns({ limit: 9 });
    expect(runs.map(({ id, createdAt }) => [id, createdAt - run.createdAt])).toEqual([
      ["at-4", 5],
      ["at-3", 5],
      ["at-5", 5],
      ["r", 0],
    ]);
  });

  test("however much there is, a few megabytes are in memory at a time", async () => {
    const path = newPath();
    const source = await opened(path, { durability: "relaxed" });
    await create(source, leased("r"));
    const output = "x".repeat(2 ** 20);
    for (let seq = 1; seq <= 24; seq += 1) {
      const tasks = [task(`t${seq}`, seq, { output })];
      await source.commit([{ runId: "r", writeId: `w${seq}`, guard: { epoch: 1 }, tasks }]);
    }
    const sizes: number[] = [];
    const target = memory();
    const watched = withMethods(target, {
      importRuns: async (items) => {
        sizes.push(JSON.stringify(items).length);
        await target.importRuns?.(items);
      },
    });
    expect((await copyStorage(open(path), watched)).tasks).toBe(24);
    expect(Math.max(...sizes)).toBeLessThan(5 * 2 ** 20);
  });
});
