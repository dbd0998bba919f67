import { mkdirSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { Consumer, tool } from "./consumer.js";
import {
  asCommonJs,
  entryPoints,
  helloMemory,
  helloPostgres,
  helloSqlite,
  integrations,
} from "./programs.js";

const bare = new Consumer();
const withDriver = new Consumer();
beforeAll(async () => {
  await Promise.all([bare.install(), withDriver.install(["libsql@0.5", "pg@8"])]);
  for (const consumer of [bare, withDriver]) {
    consumer.write({
      "memory.mjs": helloMemory,
      "memory.cjs": asCommonJs(helloMemory),
      "sqlite.mjs": helloSqlite,
      "sqlite.cjs": asCommonJs(helloSqlite),
      "postgres.mjs": helloPostgres(inject("postgresUrl")),
      "postgres.cjs": asCommonJs(helloPostgres(inject("postgresUrl"))),
    });
  }
});
afterAll(() => {
  bare.remove();
  withDriver.remove();
});

/** Prints the path of each module that an import loads, native ones included. */
const loadedModules = {
  "hooks.mjs": `
import { writeSync } from "node:fs";
export async function load(url, context, next) {
  writeSync(1, url + "\\n");
  return next(url, context);
}`,
  "loaded.mjs": `
import { register } from "node:module";
process.dlopen = (_, path) => console.log("native " + path);
register("./hooks.mjs", import.meta.url);
await import(process.argv[2]);`,
};

describe("installed without a driver", () => {
  test.each(entryPoints)("%s is there for import and for require", async (entry) => {
    const names = "console.log(Object.keys(m).sort().join())";
    const [imported, required] = await Promise.all([
      bare.node("--input-type=module", "-e", `import * as m from "${entry}"; ${names}`),
      bare.node("-e", `const m = require("${entry}"); ${names}`),
    ]);
    expect(imported).toMatchObject({ code: 0, stderr: "" });
    expect(required).toMatchObject({ code: 0, stderr: "" });
    expect(imported.stdout.length).toBeGreaterThan(3);
    const esModule = new Set(["__esModule", "module.exports"]);
    const plain = (text: string) =>
      text
        .trim()
        .split(",")
        .filter((name) => !esModule.has(name));
    expect(plain(required.stdout)).toEqual(plain(imported.stdout));
  });

  test.each(["memory.mjs", "memory.cjs"])("%s says hello", async (program) => {
    expect(await bare.node(program)).toEqual({ code: 0, stdout: "hello world\n", stderr: "" });
  });

  test("works where making code from text is forbidden", async () => {
    const { stdout } = await bare.node("--disallow-code-generation-from-strings", "memory.mjs");
    expect(stdout).toBe("hello world\n");
  });

  test("sqlite says which driver to install, or finds the one that Node has", async () => {
    const { stdout, stderr } = await bare.node("sqlite.mjs");
    const hasOwn = process.getBuiltinModule("node:sqlite") !== undefined;
    if (hasOwn) expect(stdout).toBe("hello world\n");
    else expect(stderr).toMatch(/DRIVER_MISSING[\s\S]*npm install libsql|npm install libsql/);
  });

  test("postgres says which client to install", async () => {
    const { code, stderr } = await bare.node("postgres.mjs");
    expect(code).toBe(1);
    expect(stderr).toMatch(/npm install pg/);
    expect(stderr).toContain("DRIVER_MISSING");
  });

  test.each(["pawl", "pawl/sqlite", "pawl/postgres"])(
    "importing %s loads no zod and nothing native",
    async (entry) => {
      bare.write(loadedModules);
      const { code, stdout } = await bare.node("--no-warnings", "loaded.mjs", entry);
      const modules = stdout.trim().split("\n");
      expect(code).toBe(0);
      expect(modules.some((url) => url.includes("/pawl/dist/"))).toBe(true);
      const unwanted =
        /node_modules\/(zod|p-retry|libsql|better-sqlite3|pg|postgres)\/|^native|\.node$|node:sqlite/;
      expect(modules.filter((url) => unwanted.test(url))).toEqual([]);
    },
  );

  test("how long a cold import takes (printed, not judged)", async () => {
    const program =
      "const t = performance.now(); await import('pawl'); console.log(performance.now() - t)";
    const times: number[] = [];
    for (let i = 0; i < 7; i++) {
      times.push(Number((await bare.node("--input-type=module", "-e", program)).stdout));
    }
    const [fastest = 0, , , median = 0] = times.sort((a, b) => a - b);
    console.log(
      `cold import of pawl: median ${median.toFixed(1)} ms, fastest ${fastest.toFixed(1)} ms`,
    );
    expect(times.every((time) => time > 0)).toBe(true);
  });
});

describe.each(integrations)("$entry", ({ entry, peer }) => {
  const print = `import * as m from "${entry}"; console.log(Object.keys(m).join());`;

  test("names the SDK that is missing", async () => {
    const { code, stderr } = await bare.node("--input-type=module", "-e", print);
    expect(code).toBe(1);
    expect(stderr).toContain(`Cannot find package '${peer}'`);
  });

  test("is there where the SDK is installed", async () => {
    // As installed by the user; the copy of this repository spares the network.
    const place = withDriver.path(`node_modules/${peer}`);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(tool(peer), place);
    const result = await withDriver.node("--input-type=module", "-e", print);
    expect(result).toEqual({ code: 0, stderr: "", stdout: `${entry.split("/")[2]}\n` });
  });
});

describe("installed with pg", () => {
  test.each(["postgres.mjs", "postgres.cjs"])("%s says hello", async (program) => {
    expect(await withDriver.node(program)).toEqual({
      code: 0,
      stdout: "hello world\n",
      stderr: "",
    });
  });
});

describe("installed with libsql", () => {
  test.each(["sqlite.mjs", "sqlite.cjs"])("%s says hello", async (program) => {
    const { code, stdout } = await withDriver.node(program);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "hello world\n" });
  });

  test("works where making code from text is forbidden", async () => {
    const { stdout } = await withDriver.node(
      "--disallow-code-generation-from-strings",
      "sqlite.mjs",
    );
    expect(stdout).toBe("hello world\n");
  });

  test("the command line is there", async () => {
    const { code, stdout } = await withDriver.node("node_modules/pawl/dist/cli.js", "--help");
    expect(code).toBe(0);
    expect(stdout).toContain("pawl runs");
    const list = await withDriver.node("node_modules/.bin/pawl", "runs", "--storage", "hello.db");
    expect(list.stdout).toContain("COMPLETED");
  });
});
