import type { ChildProcess } from "node:child_process";
import { afterEach, expect, test } from "vitest";
import { check } from "./check.js";
import { cycles } from "./cycles.js";
import { Rig, until } from "./rig.js";
import { leaseMsOf, storeNames } from "./store.js";

const WORKERS = 3;
/** From the stop until others have recorded all that the process was about. */
const takeOversMs: number[] = [];
const stops = Math.max(10, Math.ceil(cycles / 10));

let rig: Rig | undefined;

afterEach(async () => {
  for (const worker of rig?.workers ?? []) worker.kill("SIGCONT");
  await rig?.remove();
  rig = undefined;
});

test.each(storeNames)(
  `${stops} workers on %s are stopped until others have taken their runs, and what they do afterwards is refused`,
  {
    timeout: 120_000 + stops * 60_000,
  },
  async (store) => {
    const current = new Rig(store);
    rig = current;
    const started = performance.now();
    let heldTheLock = 0;
    takeOversMs.length = 0;
    await current.start(WORKERS);
    await until("they start", 3_000, () => current.workers.every((one) => current.isReady(one)));
    for (let cycle = 0; cycle < stops; ) {
      current.ask(10);
      const worker = await busyWorker(current);
      if (await isTakenOver(current, worker)) cycle++;
      else heldTheLock++;
    }
    await until("all runs end", 10_000, () => current.allDone());
    await current.end();

    const verdict = await check(current.client, current.ledger.read(), current.target);
    const { problems, ...figures } = verdict;
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(`SIGSTOP on ${store}: ${seconds} s`, {
      ...figures,
      stops,
      heldTheLock,
      longestTakeOverMs: Math.round(Math.max(...takeOversMs)),
    });
    if (problems.length > 0) current.keepLedger();
    expect(problems).toEqual([]);
    expect(verdict.lateEnds).toBeGreaterThanOrEqual(stops);
  },
);

async function busyWorker(current: Rig): Promise<ChildProcess> {
  let busy: ChildProcess | undefined;
  await until("a worker is busy", 3_000, () => {
    const candidates = current.workers.filter(
      (worker) => current.ledger.openTasks(worker.pid ?? 0).size > 1,
    );
    busy = candidates[Math.floor(Math.random() * candidates.length)];
    return busy !== undefined;
  });
  if (busy === undefined) throw new Error("No worker is busy.");
  return busy;
}

/** Stops the worker until its open tasks have results of others, then lets it go on and end them. */
async function isTakenOver(current: Rig, worker: ChildProcess): Promise<boolean> {
  const pid = worker.pid ?? 0;
  worker.kill("SIGSTOP");
  current.notes.write("stop", pid);
  const open = current.ledger.openTasks(pid);
  const stoppedAt = current.ledger.read().length;
  const waitedSince = performance.now();
  let locked = false;
  await until("others take over", 3_000, () => {
    const since = current.ledger.read().slice(stoppedAt);
    const seen = new Set(since.filter(([what]) => what === "seen").map(([, , id]) => id));
    // A process that was stopped inside a transaction holds its locks, of SQLite that of the file: nobody gets on.
    locked = seen.size === 0 && performance.now() - waitedSince > 4 * leaseMsOf(current.address);
    return locked || [...open].every((id) => seen.has(id));
  });
  takeOversMs.push(performance.now() - waitedSince);
  if (locked) current.notes.write("standstill", pid);
  worker.kill("SIGCONT");
  current.notes.write("cont", pid);
  await until("it ends what it was about", 3_000, () =>
    [...open].every((id) => !current.ledger.openTasks(pid).has(id)),
  );
  return !locked && open.size > 0;
}
