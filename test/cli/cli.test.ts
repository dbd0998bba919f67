import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { main } from "../../src/cli/main.js";
import { type Client, createClient, defineJob, invokeTrigger } from "../../src/index.js";
import { sqlite } from "../../src/storage/sqlite/index.js";
import { DriverFinder } from "../../src/storage/sqlite/load-driver.js";
import { fakeClock } from "../../src/testing/index.js";

const folder = mkdtempSync(join(tmpdir(), "pawl-cli-"));
const file = join(folder, "shop.db");
const missing = join(folder, "missing.db");
/** Ahead of the real time that the command line reads: the store's clock never goes back. */
const clock = fakeClock(new Date("2100-01-01"));
let executions = 0;

const ship = defineJob({
  id: "ship",
  trigger: invokeTrigger(),
  tags: ["eu"],
  retry: { limit: 2, minTimeoutInMs: 1_000, randomize: false },
  run: async (_payload, io) => {
    executions++;
    await io.runTask("pack", (_task, inner) => inner.runTask(["item", 1], () => ({ kg: 2n })));
    await io.runTask("label", ({ attempt }) => {
      if (attempt === 1) throw new Error("printer is\u001b[31m on fire\nand more");
    });
    await io.wait("courier", "1d");
    return { done: new Date(0), seen: new Map([["a", 1]]) };
  },
});
const breaks = defineJob({
  id: "breaks",
  trigger: invokeTrigger(),
  run: () => {
    throw new Error("always");
  },
});

let app: Client;
const ids = { shipped: "", waiting: "", broken: "" };

/** The application: one run that ended well, one that waits, one that failed. */
beforeAll(async () => {
  app = createClient({ storage: sqlite(file), clock, jobs: [ship, breaks] });
  app.on("runFailed", () => {});
  ids.shipped = (await app.invoke(ship)).id;
  ids.broken = (await app.invoke(breaks)).id;
  await app.drain();
  clock.advance("1s");
  await app.drain();
  clock.advance("1d");
  await app.drain();
  ids.waiting = (await app.invoke(ship)).id;
  await app.drain();
  clock.advance("1s");
  await app.drain();
});
afterAll(async () => {
  await app.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Each process that may write begins with a commit that counts it. */
function versionOf(path: string): unknown {
  const connection = new DriverFinder().find(undefined).open(path);
  const rows = connection.prepare("select key, value from pawl_meta").all([]);
  connection.close();
  return rows;
}

async function pawl(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(argv, { out: (line) => out.push(line), err: (line) => err.push(line) });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

const onFile = ["--storage", file];

async function jsonOf(...argv: string[]): Promise<unknown> {
  const { code, out, err } = await pawl(...argv, ...onFile, "--json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out);
}

describe("pawl runs", () => {
  test("lists the newest first", async () => {
    const { code, out, err } = await pawl("runs", ...onFile);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const [head, ...rows] = out.split("\n").map((line) => line.split(/ {2,}/));
    expect(head).toEqual(["ID", "STATUS", "JOB", "CREATED", "TOOK", "TAGS"]);
    expect(rows.map((row) => row.slice(0, 3))).toEqual([
      [ids.waiting, "WAITING", "ship"],
      [ids.broken, "FAILED", "breaks"],
      [ids.shipped, "COMPLETED", "ship"],
    ]);
    expect(rows[2]?.slice(4)).toEqual(["1d 1s", "eu"]);
  });

  test("filters, and pages", async () => {
    expect(await jsonOf("runs", "--job", "breaks")).toMatchObject({ runs: [{ id: ids.broken }] });
    expect(await jsonOf("runs", "--status", "completed")).toMatchObject({
      runs: [{ id: ids.shipped, output: { done: "1970-01-01T00:00:00.000Z", seen: [["a", 1]] } }],
    });
    const first = await pawl("runs", "--tag", "eu", "--take", "1", ...onFile);
    expect(first.out).toContain(ids.waiting);
    const cursor = /More: --cursor (\S+)/.exec(first.out)?.[1] ?? "";
    const second = await pawl("runs", "--tag", "eu", "--take", "1", "--cursor", cursor, ...onFile);
    expect(second.out).toContain(ids.shipped);
    expect((await pawl("runs", "--job", "none", ...onFile)).out).toBe("No runs.");
  });
});

describe("pawl run", () => {
  test("shows the tasks as a tree with attempts and times", async () => {
    const { code, out } = await pawl("run", ids.waiting, ...onFile);
    expect(code).toBe(0);
    const instants = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
    expect(out.replaceAll(ids.waiting, "<id>").replace(instants, "<time>").split("\n")).toEqual([
      "Run <id> WAITING",
      "  job         ship 0.0.0",
      "  created     <time>",
      "  started     <time>",
      "  due         <time>",
      expect.stringMatching(/^ {2}executions {2}\d$/),
      "  tags        eu",
      "Tasks",
      "├─ pack  COMPLETED  <time>  took 0ms",
      '│  └─ ["item",1]  COMPLETED  <time>  took 0ms',
      "├─ label  COMPLETED  2 attempts  <time>  took 1s",
      "│    attempt 1 failed at <time>: printer is\\u001b[31m on fire",
      "└─ courier  (wait)  WAITING  until <time>",
    ]);
  });

  test("gives everything as JSON", async () => {
    expect(await jsonOf("run", ids.shipped)).toMatchObject({
      id: ids.shipped,
      status: "COMPLETED",
      tasks: [
        { key: "pack", tasks: [{ output: { kg: "2n" } }] },
        { key: "label", attempts: [{ error: { name: "Error" } }, { number: 2 }] },
        { key: "courier", kind: "wait" },
      ],
    });
    expect(await jsonOf("run", ids.broken)).toMatchObject({
      error: { name: "Error", message: "always" },
    });
  });

  test("says why a run failed, and pages its tasks", async () => {
    expect((await pawl("run", ids.broken, ...onFile)).out).toMatch(
      /error {7}Error: always\nNo tasks recorded yet\./,
    );
    const { out } = await pawl("run", ids.shipped, "--take", "1", ...onFile);
    expect(out).toMatch(/More tasks: --cursor \d+/);
  });
});

describe("pawl explain", () => {
  test("says the sentence", async () => {
    expect((await pawl("explain", ids.waiting, ...onFile)).out).toMatch(/waits at "courier" until/);
    expect(await jsonOf("explain", ids.broken)).toEqual({
      id: ids.broken,
      explanation: expect.stringContaining("failed"),
    });
  });
});

describe("pawl cancel and pawl retry", () => {
  test("cancel ends a run once", async () => {
    const { id } = await app.invoke(ship);
    expect((await pawl("cancel", id, ...onFile)).out).toContain("is cancelled");
    expect((await app.getRun(id))?.status).toBe("CANCELED");
    expect(await pawl("cancel", id, ...onFile)).toMatchObject({
      code: 0,
      out: expect.stringContaining("had ended before as CANCELED"),
    });
    expect(await jsonOf("cancel", id)).toEqual({ id, canceled: false });
  });

  test("retry makes a run due, and executes nothing by itself", async () => {
    const { id } = await app.invoke(ship);
    await app.cancelRun(id);
    const before = executions;
    expect((await pawl("retry", id, ...onFile)).out).toContain("is due again");
    expect(executions).toBe(before);
    clock.advance("1h");
    await app.drain();
    expect(executions).toBe(before + 1);
    await app.cancelRun(id);
    expect(await jsonOf("retry", id)).toMatchObject({ id });
    await app.cancelRun(id);
  });

  test("retry refuses a run that went well", async () => {
    expect(await pawl("retry", ids.shipped, ...onFile)).toMatchObject({
      code: 1,
      err: expect.stringContaining("[RUN_NOT_FINAL]"),
    });
  });
});

describe("exit codes and errors", () => {
  test.each(["run", "explain", "cancel", "retry"])("pawl %s of an unknown run: 1", async (name) => {
    expect(await pawl(name, "nope", ...onFile)).toMatchObject({
      code: 1,
      out: "",
      err: expect.stringMatching(/^pawl: There is no run "nope".*\[RUN_NOT_FOUND\]$/),
    });
  });

  test("a file that is not there: 1, and it is not made", async () => {
    const result = await pawl("runs", "--storage", missing);
    expect(result).toMatchObject({ code: 1, err: expect.stringContaining("There is no file") });
    expect(existsSync(missing)).toBe(false);
  });

  test.each(["runs", "run", "explain"])("pawl %s writes nothing to the file", async (name) => {
    const before = versionOf(file);
    const operands = name === "runs" ? [] : [ids.shipped];
    expect(await pawl(name, ...operands, ...onFile)).toMatchObject({ code: 0 });
    expect(versionOf(file)).toEqual(before);
  });

  test("a file without runs: 1, and it stays as it is", async () => {
    const empty = join(folder, "empty.db");
    writeFileSync(empty, "");
    expect(await pawl("runs", "--storage", empty)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/holds no runs of Pawl.*\[STORAGE_PATH_INVALID\]$/),
    });
    expect(readFileSync(empty)).toHaveLength(0);
  });

  test.each([
    [99, /Update this process.*\[STORAGE_NEWER\]$/],
    [0.5, /Start the application with this version.*\[STORAGE_READONLY\]$/],
  ])("a file of schema version %d: 1, and it is not migrated", async (version, advice) => {
    const other = join(folder, `schema-${version}.db`);
    const client = createClient({ storage: sqlite(other) });
    await client.stats();
    await client.stop();
    const connection = new DriverFinder().find(undefined).open(other);
    connection.exec(`update pawl_meta set value = ${version} where key = 'schema'`);
    expect(await pawl("runs", "--storage", other)).toMatchObject({
      code: 1,
      err: expect.stringMatching(advice),
    });
    const schema = connection.prepare("select value from pawl_meta where key = 'schema'").get([]);
    connection.close();
    expect(schema).toEqual([version]);
  });

  test("a directory, or a file that is no database: 1", async () => {
    expect(await pawl("runs", "--storage", folder)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/directory.*\[STORAGE_PATH_INVALID\]$/),
    });
    const text = join(folder, "text.db");
    writeFileSync(text, "this is no database, however long one looks at it ".repeat(50));
    expect(await pawl("runs", "--storage", text)).toMatchObject({
      code: 1,
      err: expect.stringContaining("[STORAGE_CORRUPT]"),
    });
  });

  test.each([
    ["an unknown command", ["walk", ...onFile], /no command "walk"/],
    ["no command", [...onFile], /Say what to do/],
    ["no storage", ["runs"], /--storage shop\.db/],
    ["no run id", ["run", ...onFile], /takes the id of one run/],
    ["too much", ["runs", "x", ...onFile], /takes no "x"/],
    ["an unknown option", ["runs", "--stoarge", file], /--stoarge/],
    [
      "a status that does not exist",
      ["runs", "--status", "DONE", ...onFile],
      /no run status "DONE"/,
    ],
    ["a take that is no number", ["runs", "--take", "many", ...onFile], /whole number/],
    ["a take that is too large", ["runs", "--take", "9999", ...onFile], /take of getRuns/],
  ])("%s: 2", async (_, argv, message) => {
    const { code, out, err } = await pawl(...argv);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
    expect(err).toContain('Try "pawl --help"');
  });

  test("help and version: 0, on standard output", async () => {
    for (const argv of [["--help"], [], ["runs", "-h"]]) {
      expect(await pawl(...argv)).toMatchObject({ code: 0, out: expect.stringContaining("Usage") });
    }
    expect((await pawl("--version")).out).toMatch(/^\d+\.\d+\.\d+/);
  });
});
