import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { createClient, defineJob, invokeTrigger } from "pawl";
import { ManualClock, testStorage } from "pawl/adapter-kit";
import { describe, expect, onTestFinished, test } from "vitest";
import { fileStorage } from "../../examples/custom-adapter.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const newFolder = (): string => mkdtempSync(join(tmpdir(), "pawl-custom-"));

testStorage({
  name: "custom",
  runner: { describe, test },
  create: () => {
    const folder = newFolder();
    return {
      open: () => fileStorage(folder),
      dispose: () => rmSync(folder, { recursive: true }),
    };
  },
});

/** Says "." each time it is told that it has raised the counter. */
const counting = `
  import { writeSync } from "node:fs";
  import { fileStorage } from "./examples/custom-adapter.ts";
  const [, , folder, times] = process.argv;
  const storage = fileStorage(folder);
  for (let done = 0; done < Number(times); ) {
    const { value, version } = (await storage.getValue("count")) ?? { value: "0", version: 0 };
    const { ok } = await storage.setValue("count", String(Number(value) + 1), version);
    if (!ok) continue;
    writeSync(1, ".");
    done += 1;
  }`;

describe("the custom adapter in use", () => {
  test("processes that write at once, one of them killed: nothing is lost or done twice", async () => {
    const folder = newFolder();
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const program = join(folder, "counting.mjs");
    await build({
      stdin: { contents: counting, resolveDir: root },
      outfile: program,
      bundle: true,
      format: "esm",
      platform: "node",
      alias: { "pawl/adapter-kit": join(root, "src/adapter-kit/index.ts") },
    });
    const store = join(folder, "store");
    const count = async (times: number, isVictim: boolean): Promise<number> => {
      const child = spawn(process.execPath, [program, store, String(times)]);
      if (isVictim) child.stdout.once("data", () => child.kill("SIGKILL"));
      const [told, complaint] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, "close"),
      ]);
      expect(complaint).toBe("");
      return told.length;
    };
    const told = await Promise.all([count(30, false), count(30, false), count(100_000, true)]);
    expect(told.slice(0, 2)).toEqual([30, 30]);
    const storage = fileStorage(store);
    const total = Number((await storage.getValue("count"))?.value);
    const known = told.reduce((sum, each) => sum + each, 0);
    // The killed process may have been about to say so.
    expect([known, known + 1]).toContain(total);
    expect((await storage.setValue("count", "0")).ok).toBe(true);
  });

  test("a run that waits in one client goes on in the next", async () => {
    const folder = newFolder();
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const done: string[] = [];
    const job = defineJob({
      id: "job",
      trigger: invokeTrigger(),
      run: async (_, io) => {
        await io.runTask("first", () => void done.push("first"));
        await io.wait("nap", 1);
        await io.runTask("second", () => void done.push("second"));
        return "ended";
      },
    });
    const first = createClient({ id: "app", storage: fileStorage(folder), jobs: [job] });
    await first.start();
    const run = await first.invoke(job, {});
    await expect.poll(() => done).toEqual(["first"]);
    await first.stop();
    const second = createClient({ id: "app", storage: fileStorage(folder), jobs: [job] });
    await second.start();
    expect(await second.waitForRun(run)).toMatchObject({ status: "COMPLETED", output: "ended" });
    await second.stop();
    expect(done).toEqual(["first", "second"]);
  });

  test("a store that is opened anew has come to the same state", async () => {
    const folder = newFolder();
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const clock = new ManualClock();
    const storage = fileStorage(folder);
    await storage.init({ clock });
    const first = {
      id: "r",
      jobId: "j",
      version: "1.0.0",
      status: "PENDING",
      wakeAt: 0,
      payload: "{}",
      lease: { workerId: "w", leaseMs: 50 },
    } as const;
    await storage.createRuns([{ createId: "c", groups: [{ first }] }]);
    const [before] = await storage.getRuns(["r"]);
    clock.advance(10);
    const reopened = fileStorage(folder);
    await reopened.init({ clock });
    expect(before).toMatchObject({ status: "EXECUTING", epoch: 1, workerId: "w" });
    expect(await reopened.getRuns(["r"])).toEqual([before]);
  });
});
