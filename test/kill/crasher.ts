// A process whose task throws where no promise can catch it, as many times as it is told.
import { EventEmitter } from "node:events";
import { appendFileSync, readFileSync } from "node:fs";
import { createClient, defineJob, invokeTrigger, type Task } from "pawl";
import { sqlite } from "pawl/sqlite";

const [database = "", ledger = "", fault = "", times = "1"] = process.argv.slice(2);

const faults: Readonly<Record<string, (task: Task) => void>> = {
  "throws from a timer": () => void setTimeout(thrown, 1),
  "throws from a tick": () => process.nextTick(thrown),
  "throws when it is told of its timeout": ({ signal }) => signal.addEventListener("abort", thrown),
  "emits a late error event that nobody hears": () => {
    setImmediate(() => new EventEmitter().emit("error", new Error("planned fault")));
  },
  "rejects a promise that nobody awaits": () => {
    void Promise.reject(new Error("planned fault"));
  },
};

function thrown(): never {
  throw new Error("planned fault");
}

/** Counts the callbacks past the library. */
function note(task: string): number {
  appendFileSync(ledger, `${task}\n`);
  return readFileSync(ledger, "utf8")
    .split("\n")
    .filter((line) => line === task).length;
}

const bad = defineJob({
  id: "bad",
  trigger: invokeTrigger(),
  maxExecutionsWithoutProgress: 3,
  run: async (_payload, io) => {
    await io.runTask("before", () => void note("before"));
    await io.runTask(
      "bad",
      (task) => {
        if (note("bad") > Number(times)) return;
        faults[fault]?.(task);
        return new Promise<never>(() => {});
      },
      { timeout: "200ms" },
    );
    await io.runTask("after", () => void note("after"));
  },
});
const good = defineJob({
  id: "good",
  trigger: invokeTrigger(),
  run: (_payload, io) => io.runTask("good", () => "well"),
});

const client = createClient({
  storage: sqlite(database),
  jobs: [bad, good],
  leaseMs: 500,
  pollMs: 100,
});
client.on("runFailed", () => {});
await client.start();
for (const id of ["bad", "good"]) {
  await client.waitForRun(await client.invoke(id, {}, { idempotencyKey: "once" }));
}
await client.stop();
