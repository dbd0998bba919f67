import type { ChildProcess } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { check } from "./check.js";
import { cycles } from "./cycles.js";
import { Rig, until } from "./rig.js";
import { storeNames } from "./store.js";

const WORKERS = 3;
const RUNS_PER_CYCLE = 6;
const BUSY = 40;

let rig: Rig | undefined;

afterEach(async () => {
  await rig?.remove();
  rig = undefined;
});

test.each(storeNames)(
  `R8: ${cycles} workers on %s are killed at random moments, and nothing is lost, changed or repeated without need`,
  {
    timeout: 120_000 + cycles * 20_000,
  },
  async (store) => {
    const current = new Rig(store);
    rig = current;
    const started = performance.now();
    await current.start(WORKERS);
    for (let cycle = 0; cycle < cycles; cycle++) {
      // Always more than the workers can have in hand, so that a kill finds them at work.
      current.ask(Math.max(RUNS_PER_CYCLE, BUSY - (await current.backlog())));
      await until("the workers catch up", 3_000, async () => (await current.backlog()) <= 2 * BUSY);
      const victim = await nextVictim(current);
      await pause(Math.random() * 250);
      await current.killWorker(victim);
      current.startWorker();
      if (Math.random() < 0.1) await current.killSender();
    }
    await until("all runs end", 10_000, () => current.allDone());
    await current.end();

    const verdict = await check(current.client, current.ledger.read(), current.target);
    const { problems, ...figures } = verdict;
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(`SIGKILL on ${store}: ${seconds} s`, figures);
    if (problems.length > 0) current.keepLedger();
    expect(problems).toEqual([]);
    expect(verdict.kills).toBe(cycles);
    expect(verdict.killsInFlight / cycles).toBeGreaterThanOrEqual(0.6);
  },
);

/** Any worker that has begun to work; now and then one that only starts. */
async function nextVictim(current: Rig): Promise<ChildProcess> {
  const anyone = Math.random() < 0.05;
  let candidates: ChildProcess[] = [];
  await until("a worker works", 3_000, () => {
    const atWork = current.ledger.pidsAtWork();
    candidates = current.workers.filter((one) => anyone || atWork.has(String(one.pid)));
    return candidates.length > 0;
  });
  const victim = candidates[Math.floor(Math.random() * candidates.length)];
  if (victim === undefined) throw new Error("A worker is missing.");
  return victim;
}
