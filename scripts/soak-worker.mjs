// The process that scripts/soak.mjs watches: executes tasks, and says after each tenth what it holds.
import { readdirSync, statSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { createClient, defineJob, invokeTrigger } from "pawl";
import { sqlite } from "pawl/sqlite";

const [path = "", total = "0"] = process.argv.slice(2);
const RUNS_AT_ONCE = 50;
let tasks = 0;
let walMax = 0;

const child = defineJob({
  id: "child",
  trigger: invokeTrigger(),
  run: (payload, io) => io.runTask("only", () => work(payload)),
});

// What a run may leave behind: frames, timers, signals, hooks, children, errors, log lines.
const parent = defineJob({
  id: "parent",
  trigger: invokeTrigger(),
  retry: { limit: 3, minTimeoutInMs: 1 },
  onSuccess: () => {},
  run: async (payload, io) => {
    for (let n = 0; n < 8; n++) await io.runTask(["step", n], () => work(payload), { timeout: 60 });
    await io.parallel("items", [1, 2, 3, 4], (item, _index, inner) =>
      inner.runTask("inner", () => work(item)),
    );
    await io.wait("a-moment", "1ms");
    await io.runTask("second-try", ({ attempt }) => {
      if (attempt === 1) throw new Error("planned");
      return work(payload);
    });
    await io.waitForAny("first", {
      task: (inner) => inner.runTask("quick", () => work(payload)),
      wait: (inner) => inner.wait("long", "1h"),
    });
    io.logger.info("nearly done");
    const { output } = await io.invokeAndWait("child", child, payload);
    return output;
  },
});

function work(value) {
  tasks++;
  return { value, text: "x".repeat(100) };
}

const size = (file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

async function held() {
  for (let round = 0; round < 3; round++) {
    await turn();
    globalThis.gc();
  }
  return {
    tasks,
    heap: process.memoryUsage().heapUsed,
    rss: process.memoryUsage().rss,
    files: process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0,
    handles: process._getActiveHandles().length,
    timers: process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length,
    walMax,
    database: size(path),
  };
}

async function executeSome(client) {
  const handles = await Promise.all(
    Array.from({ length: RUNS_AT_ONCE }, (_, n) => client.invoke(parent, n)),
  );
  const runs = await Promise.all(handles.map((handle) => client.waitForRun(handle)));
  const bad = runs.find(({ status }) => status !== "COMPLETED");
  if (bad !== undefined) throw new Error(`Run ${bad.id} is ${bad.status}: ${bad.error?.message}`);
  walMax = Math.max(walMax, size(`${path}-wal`));
  process.send("alive");
}

const client = createClient({ storage: sqlite(path), jobs: [parent, child] });
await client.start();
for (let tenth = 1; tenth <= 10; tenth++) {
  while (tasks < (Number(total) * tenth) / 10) await executeSome(client);
  // Hooks may still be open, and keep their runs.
  const { purged } = await client.purge({ olderThan: "1ms", dedupeRetention: "1s" });
  process.send({ ...(await held()), purged });
}
await client.stop();
process.disconnect();
