import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toJson } from "../../src/cli/json.js";
import { main } from "../../src/cli/main.js";
import { createClient, invokeTrigger } from "../../src/index.js";
import { sqlite } from "../../src/storage/sqlite/index.js";
import { fakeClock } from "../../src/testing/index.js";

describe("JSON of what a run may hold", () => {
  const back = (value: unknown): unknown => JSON.parse(toJson(value));

  test("nothing is null", () => {
    expect([back(undefined), back(null), back({ a: undefined })]).toEqual([null, null, {}]);
  });

  test("dates, addresses, bytes, sets and big integers are plain", () => {
    expect(
      back({
        date: new Date(0),
        never: new Date(Number.NaN),
        url: new URL("https://pawl.dev/a"),
        bytes: new Uint8Array([1, 2]),
        view: new DataView(new Uint8Array([7, 8, 9]).buffer, 1, 2),
        set: new Set([1n]),
      }),
    ).toEqual({
      date: "1970-01-01T00:00:00.000Z",
      never: null,
      url: "https://pawl.dev/a",
      bytes: [1, 2],
      view: [8, 9],
      set: ["1n"],
    });
  });

  test("a cycle is named, and what only occurs twice is shown twice", () => {
    const shared = { n: 1 };
    const cycle: Record<string, unknown> = { shared, again: [shared] };
    cycle.self = cycle;
    expect(back(cycle)).toEqual({ shared: { n: 1 }, again: [{ n: 1 }], self: "[circular]" });
  });

  test("an error has name and message, and code and cause if it has some", () => {
    const cause = Object.assign(new TypeError("inner"), { code: "E_IN" });
    expect(back(new Error("outer", { cause }))).toEqual({
      name: "Error",
      message: "outer",
      cause: { name: "TypeError", message: "inner", code: "E_IN" },
    });
  });
});

describe("pawl run of rarer runs", () => {
  const folder = mkdtempSync(join(tmpdir(), "pawl-cli-rare-"));
  const file = join(folder, "shop.db");
  const clock = fakeClock(new Date("2100-01-01"));
  const ids = { parent: "", child: "", long: "", empty: "" };

  beforeAll(async () => {
    const client = createClient({ storage: sqlite(file), clock });
    client.on("runFailed", () => {});
    client.defineJob({ id: "child", trigger: invokeTrigger(), run: async () => 1 });
    const parent = client.defineJob({
      id: "parent",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        await io.runTask("a", () => 1);
        return io.invokeAndWait("call", "child", 1);
      },
    });
    const long = client.defineJob({
      id: "long",
      trigger: invokeTrigger(),
      run: async (_payload, io) => {
        await io.runTask("t", () => {
          throw new Error("x".repeat(500));
        });
      },
    });
    const later = client.defineJob({ id: "later", trigger: invokeTrigger(), run: async () => 1 });
    ids.parent = (await client.invoke(parent)).id;
    ids.long = (await client.invoke(long)).id;
    ids.empty = (await client.invoke(later, {}, { delay: "1d" })).id;
    await client.drain();
    ids.child = (await client.getRuns({ jobId: "child" })).runs[0]?.id ?? "";
    await client.retryRun(ids.long);
    await client.drain();
    await client.stop();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function shown(...argv: string[]): Promise<string> {
    const out: string[] = [];
    const err: string[] = [];
    const code = await main([...argv, "--storage", file], {
      out: (line) => out.push(line),
      err: (line) => err.push(line),
    });
    expect({ code, err }).toEqual({ code: 0, err: [] });
    return out.join("\n");
  }

  test("a task that waits for a child names it", async () => {
    expect(await shown("run", ids.parent)).toMatch(
      new RegExp(`call {2}\\(invokeAndWait\\) {2}COMPLETED.* {2}run ${ids.child}`),
    );
  });

  test("the next page of tasks begins after its cursor", async () => {
    const first = await shown("run", ids.parent, "--take", "1");
    const cursor = /More tasks: --cursor (\d+)/.exec(first)?.[1] ?? "";
    const second = await shown("run", ids.parent, "--take", "1", "--cursor", cursor);
    expect(first).toContain("└─ a ");
    expect(second).toContain("└─ call ");
    expect(second).not.toContain("└─ a ");
  });

  test("a long error is cut to a line, and a retried run shows which attempt it is", async () => {
    const text = await shown("run", ids.long);
    expect(text).toContain(`${"x".repeat(119)}…`);
    expect(text).toMatch(/executions {2}\d, attempt 2/);
  });

  test("a run that has not started has no start and no tasks", async () => {
    const text = await shown("run", ids.empty);
    expect(text).toContain("No tasks recorded yet.");
    expect(text).not.toMatch(/^ {2}started/m);
  });
});

describe("pawl on the file of an application with a codec of its own", () => {
  const folder = mkdtempSync(join(tmpdir(), "pawl-cli-codec-"));
  const file = join(folder, "secret.db");
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("lists, shows and explains runs; of their values it shows the stored text", async () => {
    const codec = {
      encode: (value: unknown) => `secret:${JSON.stringify(value)}`,
      decode: (text: string): unknown => JSON.parse(text.slice("secret:".length)),
    };
    const client = createClient({ storage: sqlite(file), codec });
    const job = client.defineJob({
      id: "j",
      trigger: invokeTrigger(),
      run: (_payload, io) => io.runTask("a", () => 7),
    });
    const { id } = await client.invoke(job, 1);
    await client.drain();
    await client.stop();
    for (const [line, shown] of [
      [["runs"], id],
      [["run", id], "└─ a "],
      [["run", id, "--json"], '"payload": "secret:1"'],
      [["explain", id], "completed at"],
    ] as const) {
      const out: string[] = [];
      const err: string[] = [];
      const code = await main([...line, "--storage", file], {
        out: (text) => out.push(text),
        err: (text) => err.push(text),
      });
      expect({ code, err }).toEqual({ code: 0, err: [] });
      expect(out.join("\n")).toContain(shown);
    }
  });
});
