import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { createClient, defineJob, invokeTrigger } from "pawl";
import { ManualClock } from "pawl/adapter-kit";
import { sqlite } from "pawl/sqlite";
import { describe, expect, test } from "vitest";
import { schemaVersion } from "../../src/storage/sqlite/schema.js";
import { selectTaskPage } from "../../src/storage/sqlite/task-row.js";
import {
  claim,
  connected,
  create,
  leased,
  newDirectory,
  newPath,
  newRun,
  opened,
  tampered,
  task,
} from "./sqlite-fixture.js";

const clock = new ManualClock();

describe("a path that cannot be used", () => {
  test("is a directory", async () => {
    const path = newDirectory();
    const opening = opened(path);
    await expect(opening).rejects.toMatchObject({ code: "STORAGE_PATH_INVALID" });
    await expect(opening).rejects.toThrow(`${path} is a directory`);
  });

  test("lies in a directory that does not exist", async () => {
    const directory = join(newDirectory(), "data");
    const storage = sqlite(join(directory, "shop.db"));
    await expect(storage.init({ clock })).rejects.toMatchObject({ code: "STORAGE_PATH_INVALID" });
    await expect(storage.init({ clock })).rejects.toThrow(`${directory} does not exist`);
    mkdirSync(directory);
    await storage.init({ clock });
    await storage.close();
  });

  test("is a file of something else", async () => {
    const path = newPath();
    writeFileSync(path, "no database ".repeat(1_000));
    await expect(opened(path)).rejects.toMatchObject({ code: "STORAGE_CORRUPT" });
  });

  test("is on a file system without shared memory", async () => {
    const driver = tampered((sql, _values, execute) =>
      sql === "pragma journal_mode = wal" ? ["delete"] : execute(),
    );
    const opening = opened(newPath(), { driver });
    await expect(opening).rejects.toMatchObject({ code: "STORAGE_PATH_INVALID" });
    await expect(opening).rejects.toThrow(/network file system/);
  });

  test("cannot be written to", async () => {
    const path = newPath();
    await (await opened(path)).close();
    const readonly = Object.assign(new Error("attempt to write"), { code: "SQLITE_READONLY" });
    const driver = tampered((sql, _values, execute) => {
      if (sql.startsWith("update pawl_meta")) throw readonly;
      return execute();
    });
    await expect(opened(path, { driver })).rejects.toMatchObject({ code: "STORAGE_READONLY" });
  });
});

describe("the schema", () => {
  test("is what it was when it was released", async () => {
    const path = newPath();
    await opened(path);
    const rows = connected(path)
      .prepare("select sql from sqlite_schema where sql is not null order by name")
      .all([]);
    const text = rows.map(([sql]) => `${sql};\n`).join("");
    await expect(text).toMatchFileSnapshot("sqlite-schema.golden.sql");
  });

  test("of a newer version is refused, and left as it is", async () => {
    const path = newPath();
    await (await opened(path)).close();
    const connection = connected(path);
    connection
      .prepare("update pawl_meta set value = ? where key = 'schema'")
      .run([schemaVersion + 3]);
    const opening = opened(path);
    await expect(opening).rejects.toMatchObject({
      code: "STORAGE_NEWER",
      details: { path, found: schemaVersion + 3, known: schemaVersion },
    });
    await expect(opening).rejects.toThrow(/Update this process/);
  });

  test("lives beside the application's tables", async () => {
    const path = newPath();
    const application = connected(path);
    application.exec(
      "pragma user_version = 12; create table orders (id text); insert into orders values ('o')",
    );
    const storage = await opened(path);
    await create(storage, newRun("r"));
    expect(application.prepare("pragma user_version").get([])).toEqual([12]);
    expect(application.prepare("select id from orders").all([])).toEqual([["o"]]);
  });

  test("is made once by many processes that start at once", async () => {
    const path = newPath();
    const program = join(newDirectory(), "start.ts");
    const index = resolve(import.meta.dirname, "../../src/storage/sqlite/index.ts");
    writeFileSync(
      program,
      `import { sqlite } from ${JSON.stringify(index)};
       const clock = { now: () => Date.now(), monotonic: () => performance.now(), setTimer: () => () => {} };
       const storage = sqlite(${JSON.stringify(path)});
       await storage.init({ clock });
       const id = "run-" + process.pid;
       const first = { id, jobId: "job", version: "1.0.0", status: "PENDING", wakeAt: 0, payload: "{}" };
       const [created] = await storage.createRuns([{ createId: id, groups: [{ first }] }]);
       await storage.close();
       console.log(created.result);`,
    );
    const loader = resolve(import.meta.dirname, "../../scripts/ts.mjs");
    const starts = Array.from({ length: 5 }, () =>
      promisify(execFile)(process.execPath, ["--import", loader, program]),
    );
    for (const { stdout } of await Promise.all(starts)) expect(stdout.trim()).toBe("ok");
    const storage = await opened(path);
    expect((await storage.listRuns({ limit: 10 })).runs).toHaveLength(5);
  });
});

describe("a file that is opened read-only", () => {
  const readonly = { readonly: true };

  test("is read while another process writes to it, and refuses each write of its own", async () => {
    const path = newPath();
    const application = await opened(path);
    const storage = await opened(path, readonly);
    await create(application, newRun("r"));
    expect((await storage.getRuns(["r"]))[0]?.id).toBe("r");
    expect((await storage.listRuns({ limit: 1 })).runs).toHaveLength(1);
    const refused = {
      code: "STORAGE_READONLY",
      message: expect.stringContaining("readonly: true"),
    };
    const query = { finishedBefore: 0, dedupeUntil: 0, limit: 1 };
    await expect(create(storage, newRun("s"))).rejects.toMatchObject(refused);
    await expect(storage.setValue("a", "1")).rejects.toMatchObject(refused);
    await expect(storage.claimRuns(claim())).rejects.toMatchObject(refused);
    await expect(storage.purge(query)).rejects.toMatchObject(refused);
    await expect(storage.commit([])).rejects.toMatchObject(refused);
  });

  test("is not written to: nobody else sees a change", async () => {
    const path = newPath();
    await opened(path);
    const witness = connected(path);
    const version = () => witness.prepare("pragma data_version").get([]);
    const before = version();
    const storage = await opened(path, readonly);
    await storage.getRuns(["r"]);
    await storage.close();
    expect(version()).toEqual(before);
  });

  test("must be there, and is not made", async () => {
    const path = newPath();
    await expect(opened(path, readonly)).rejects.toMatchObject({ code: "STORAGE_PATH_INVALID" });
    expect(existsSync(path)).toBe(false);
  });

  test("must hold the tables, and gets none", async () => {
    const path = newPath();
    writeFileSync(path, "");
    const opening = opened(path, readonly);
    await expect(opening).rejects.toMatchObject({ code: "STORAGE_PATH_INVALID" });
    await expect(opening).rejects.toThrow(/holds no runs/);
    expect(readFileSync(path)).toHaveLength(0);
  });

  test.each([
    [schemaVersion + 3, "STORAGE_NEWER", /Update this process/],
    [schemaVersion - 0.5, "STORAGE_READONLY", /Start the application/],
  ])("with schema version %d is refused: %s", async (version, code, advice) => {
    const path = newPath();
    await (await opened(path)).close();
    const connection = connected(path);
    connection.prepare("update pawl_meta set value = ? where key = 'schema'").run([version]);
    const opening = opened(path, readonly);
    await expect(opening).rejects.toMatchObject({ code });
    await expect(opening).rejects.toThrow(advice);
  });

  test("gives a client for looking, whose writes are refused at once and not tried for ever", async () => {
    const path = newPath();
    const job = defineJob({ id: "j", trigger: invokeTrigger(), run: () => {} });
    const application = createClient({ storage: sqlite(path), jobs: [job] });
    const { id } = await application.invoke(job, {}, { delay: "1h" });
    const client = createClient({ storage: sqlite({ path, readonly: true }) });
    expect((await client.getRun(id))?.status).toBe("PENDING");
    const refused = { code: "STORAGE_READONLY" };
    await expect(client.cancelRun(id)).rejects.toMatchObject(refused);
    await expect(client.invoke("j", {})).rejects.toMatchObject(refused);
    await client.stop();
    await application.stop();
  });
});

describe("the file", () => {
  test("is in memory for :memory:, each storage its own", async () => {
    const [one, other] = [await opened(":memory:"), await opened(":memory:")];
    await create(one, newRun("r"));
    expect((await one.getRuns(["r"]))[0]?.id).toBe("r");
    expect(await other.getRuns(["r"])).toEqual([undefined]);
    expect(existsSync(":memory:")).toBe(false);
  });

  test.each([
    ["full", 2],
    ["relaxed", 1],
  ] as const)("durability %s sets synchronous to %i", async (durability, synchronous) => {
    const seen: unknown[] = [];
    const driver = tampered((sql, _values, execute) => {
      if (sql.startsWith("pragma synchronous")) seen.push(sql);
      return execute();
    });
    await opened(newPath(), { durability, driver });
    const word = synchronous === 2 ? "full" : "normal";
    expect(seen).toEqual([`pragma synchronous = ${word}`]);
  });

  test("reads large records one by one: the text of many would exceed the longest string", async () => {
    let longest = 0;
    const driver = tampered((_sql, _values, execute) => {
      const answer = execute();
      for (const value of [answer].flat(2)) {
        if (typeof value === "string") longest = Math.max(longest, value.length);
      }
      return answer;
    });
    const storage = await opened(newPath(), { driver });
    await create(storage, leased("r"));
    const output = "x".repeat(100_000);
    const tasks = Array.from({ length: 300 }, (_, index) =>
      task(`t${index}`, index + 1, index < 80 ? {} : { output }),
    );
    await storage.commit([{ runId: "r", writeId: "w", guard: { epoch: 1 }, tasks }]);
    const page = await storage.listTasks("r", 0, 100_000_000);
    expect(page.tasks).toEqual(tasks);
    expect(longest).toBeLessThan(2 * output.length);
  });

  test("reads on where a large record was replaced in the middle of a page", async () => {
    const path = newPath();
    const holder = await opened(path);
    await create(holder, leased("r"));
    const open = { status: "WAITING", output: null, finishedAt: null, wakeAt: 5 } as const;
    const data = "x".repeat(100_000);
    const tasks = [task("a", 1), task("b", 2, { ...open, data }), task("c", 3)];
    await holder.commit([{ runId: "r", writeId: "w", guard: { epoch: 1 }, tasks }]);
    const other = connected(path);
    let replaces = true;
    const driver = tampered((sql, _values, execute) => {
      const answer = execute();
      if (sql === selectTaskPage && replaces) {
        replaces = false;
        other.exec(
          "update pawl_tasks set seq = 4, status = 'COMPLETED', data = null where seq = 2",
        );
      }
      return answer;
    });
    const page = await (await opened(path, { driver })).listTasks("r", 0, 1_000_000);
    expect(page.tasks.map((found) => [found.path, found.seq])).toEqual([
      ["a", 1],
      ["c", 3],
      ["b", 4],
    ]);
    expect(page.complete).toBe(true);
  });

  test("keeps text as it was, also such that SQLite or a driver would cut or change", async () => {
    const storage = await opened(newPath());
    const payloads = ["a\0b", "\ud800", "\u0001{}", "\u0001", "é\u{1f600}", "", "\0"];
    const runs = payloads.map((payload, index) => newRun(`r${index}`, { payload }));
    await create(storage, ...runs);
    const read = await storage.getRuns(runs.map(({ id }) => id));
    expect(read.map((run) => run?.payload)).toEqual(payloads);
  });

  test("that another program has changed is not taken for ours", async () => {
    const path = newPath();
    const storage = await opened(path);
    await create(storage, newRun("r"));
    for (const wrong of [
      "epoch = 'x'",
      "epoch = 0, due_at = 'x'",
      "due_at = 0, job_id = x'00'",
      "job_id = 'j', error = x'ffff'",
    ]) {
      connected(path).exec(`update pawl_runs set ${wrong}`);
      await expect(storage.getRuns(["r"])).rejects.toMatchObject({ code: "STORAGE_CORRUPT" });
    }
  });
});
