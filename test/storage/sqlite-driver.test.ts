import { createRequire } from "node:module";
import { StorageError } from "pawl/adapter-kit";
import { type SqliteOptions, sqlite } from "pawl/sqlite";
import { describe, expect, test } from "vitest";
import { sqliteCode, storageErrorOf } from "../../src/storage/sqlite/failure.js";
import { DriverFinder } from "../../src/storage/sqlite/load-driver.js";
import { create, newDirectory, newPath, newRun, opened } from "./sqlite-fixture.js";

class FakeDatabase {
  prepare(): void {}
}

/** A process with these packages installed, as far as finding drivers goes. */
function fakeProcess(
  version: string,
  packages: Record<string, { readonly version: string; readonly load?: () => unknown }>,
  builtins: Record<string, unknown> = {},
) {
  const require = Object.assign(
    (name: string) => {
      const load = packages[name]?.load ?? (() => FakeDatabase);
      return load();
    },
    {
      resolve: (name: string) => {
        if (packages[name.replace("/package.json", "")] === undefined) throw new Error("not found");
        return name;
      },
    },
  );
  const all: Record<string, unknown> = {
    "node:module": { createRequire: () => require },
    "node:fs": {
      readFileSync: (path: string) => JSON.stringify(packages[path.replace("/package.json", "")]),
    },
    ...builtins,
  };
  return {
    version,
    versions: { node: version.slice(1) },
    argv: [],
    cwd: () => "/app",
    getBuiltinModule: (name: string) => all[name],
  };
}

const v20 = "v20.20.2";
const DatabaseSync = class DatabaseSync extends FakeDatabase {};

describe("which driver is taken", () => {
  test("node:sqlite before all others, where Node has it", () => {
    const process = fakeProcess(
      "v24.1.0",
      { libsql: { version: "0.5.0" } },
      { "node:sqlite": { DatabaseSync } },
    );
    expect(new DriverFinder(process).find(undefined).name).toBe("node:sqlite");
    expect(new DriverFinder(process).find("libsql").name).toBe("libsql");
  });

  test("libsql before better-sqlite3", () => {
    const both = { "better-sqlite3": { version: "12.0.0" }, libsql: { version: "0.5.0" } };
    expect(new DriverFinder(fakeProcess(v20, both)).find(undefined).name).toBe("libsql");
    const one = { "better-sqlite3": { version: "12.0.0" } };
    expect(new DriverFinder(fakeProcess(v20, one)).find(undefined).name).toBe("better-sqlite3");
  });

  test("the next one if a binary is missing", () => {
    const load = () => {
      throw new Error("no binary for this platform");
    };
    const process = fakeProcess(v20, {
      libsql: { version: "0.5.0", load },
      "better-sqlite3": { version: "12.0.0" },
    });
    expect(new DriverFinder(process).find(undefined).name).toBe("better-sqlite3");
    expect(() => new DriverFinder(process).find("libsql")).toThrow(/no binary for this platform/);
  });

  test("bun:sqlite on Bun", () => {
    const process = {
      ...fakeProcess("v24.0.0", {
        "bun:sqlite": { version: "", load: () => ({ Database: FakeDatabase }) },
      }),
      versions: { bun: "1.4.0" },
    };
    expect(new DriverFinder(process).find(undefined).name).toBe("bun:sqlite");
  });

  test("none: the error says what to install", () => {
    const finding = () => new DriverFinder(fakeProcess(v20, {})).find(undefined);
    expect(finding).toThrow(StorageError);
    expect(finding).toThrow(/On Node v20\.20\.2 run "npm install libsql"/);
    expect(finding).toThrow(expect.objectContaining({ code: "DRIVER_MISSING" }));
  });

  test.for([
    ["libsql", v20, /"libsql", which .* run "npm install libsql"\./],
    ["better-sqlite3", v20, /On Node v20\.20\.2 run "npm install better-sqlite3@12"\./],
    ["better-sqlite3", "v22.13.0", /run "npm install better-sqlite3"\./],
    ["node:sqlite", v20, /part of Node 22\.13 and later, this is Node v20\.20\.2/],
    ["bun:sqlite", v20, /part of Bun, this is Node v20\.20\.2/],
  ] as const)(
    "%s is asked for and not there on %s: the error says how to get just that",
    ([driver, version, message]) => {
      const finding = () => new DriverFinder(fakeProcess(version, {})).find(driver);
      expect(finding).toThrow(message);
      expect(finding).toThrow(expect.objectContaining({ code: "DRIVER_MISSING" }));
    },
  );

  test("better-sqlite3 13 is not even loaded on Node 20, where it ends the process", () => {
    let loaded = false;
    const load = () => {
      loaded = true;
      return FakeDatabase;
    };
    const packages = { "better-sqlite3": { version: "13.2.0", load } };
    const finding = () => new DriverFinder(fakeProcess(v20, packages)).find(undefined);
    expect(finding).toThrow(expect.objectContaining({ code: "DRIVER_UNSUPPORTED" }));
    expect(finding).toThrow(/npm install better-sqlite3@12/);
    expect(loaded).toBe(false);
    const later = fakeProcess("v22.13.0", packages);
    expect(new DriverFinder(later).find("better-sqlite3").name).toBe("better-sqlite3");
  });

  test("a class or a module of a driver is taken as it is, anything else refused", async () => {
    const Libsql = createRequire(import.meta.url)("libsql") as object;
    for (const driver of [Libsql, { default: Libsql }, { Database: Libsql }]) {
      const storage = await opened(newPath(), { driver });
      await create(storage, newRun("r"));
      expect((await storage.getRuns(["r"]))[0]?.id).toBe("r");
    }
    await expect(opened(newPath(), { driver: {} })).rejects.toThrow(/neither one of node:sqlite/);
  });
});

describe("options", () => {
  test.each<[SqliteOptions | string, string]>([
    ["", "OPTION_INVALID"],
    ["a\0b", "OPTION_INVALID"],
    [{ path: "x.db", durability: "fast" as "full" }, "OPTION_INVALID"],
    [{ path: "x.db", driver: "sqlite3" as "libsql" }, "OPTION_INVALID"],
    [{ path: "x.db", file: "y.db" } as SqliteOptions, "OPTION_UNKNOWN"],
    [7 as unknown as string, "OPTION_INVALID"],
  ])("%j is refused", (options, code) => {
    expect(() => sqlite(options)).toThrow(expect.objectContaining({ code }));
  });

  test("nothing is opened before init, and calls before it are refused", async () => {
    const storage = sqlite(`${newDirectory()}/no/such/directory/x.db`);
    await expect(storage.now()).rejects.toThrow(/is not open yet/);
    await expect(storage.commit([])).rejects.toMatchObject({ code: "STORAGE_CLOSED" });
    await storage.close();
  });
});

describe("errors of the drivers", () => {
  test.each([
    ["node:sqlite", { code: "ERR_SQLITE_ERROR", errcode: 1555 }, 19],
    ["libsql", { code: "SQLITE_BUSY_SNAPSHOT", rawCode: 517 }, 5],
    [
      "libsql while opening",
      {
        code: "",
        message: 'ConnectionFailed("Unable to open connection to local database /x: 14")',
      },
      14,
    ],
    ["better-sqlite3", { code: "SQLITE_CONSTRAINT_PRIMARYKEY" }, 19],
    ["better-sqlite3, a code that does not matter", { code: "SQLITE_NOLFS" }, 1],
    ["bun:sqlite", { code: "SQLITE_FULL", errno: 13 }, 13],
    ["no error of SQLite", new TypeError("x"), 0],
    ["no error at all", "x", 0],
  ])("%s", (_driver, error, code) => {
    expect(sqliteCode(error)).toBe(code);
  });

  test.each([
    ["SQLITE_READONLY", "STORAGE_READONLY"],
    ["SQLITE_CORRUPT", "STORAGE_CORRUPT"],
    ["SQLITE_NOTADB", "STORAGE_CORRUPT"],
    ["SQLITE_FULL", "STORAGE_FULL"],
    ["SQLITE_BUSY", "STORAGE_FAILED"],
    ["SQLITE_IOERR", "STORAGE_FAILED"],
  ])("%s becomes %s and names the file", (name, code) => {
    const cause = Object.assign(new Error("text of the driver"), { code: name });
    const error = storageErrorOf(cause, "/data/shop.db");
    expect(error).toMatchObject({ code, cause });
    expect(error.message).toContain("/data/shop.db");
    expect(error.message).toContain("text of the driver");
  });
});
