import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Client, createClient, type Run, type ScheduledPayload } from "pawl";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cycles } from "./cycles.js";
import { LedgerReader } from "./ledger.js";
import { newAddress, until } from "./rig.js";
import { openStore, removeStore, storeNames } from "./store.js";

const ticks = Math.min(120, Math.max(12, Math.ceil(cycles / 8)));
const WORKERS = ticks >= 120 ? 8 : 3;
const KILL_EVERY_MS = 2_000;

let folder = "";
let address = "";
let ledgerPath = "";
const workers = new Set<ChildProcess>();
let isOver = false;

function startWorker(): void {
  const worker = fork(
    fileURLToPath(new URL("cron-worker.ts", import.meta.url)),
    [address, ledgerPath],
    { execArgv: ["--import", new URL("../../scripts/ts.mjs", import.meta.url).href] },
  );
  workers.add(worker);
}

/** Kills one worker after the other, each replaced at once. */
async function killOn(): Promise<number> {
  for (let kills = 0; ; kills++) {
    await pause(KILL_EVERY_MS);
    const [oldest] = workers;
    if (isOver || oldest === undefined) return kills;
    oldest.kill("SIGKILL");
    await once(oldest, "exit");
    workers.delete(oldest);
    startWorker();
  }
}

async function finishedRuns(client: Client): Promise<Run[]> {
  const all: Run[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.getRuns({
      jobId: "tick",
      status: "COMPLETED",
      take: 1_000,
      ...(cursor === undefined ? undefined : { cursor }),
    });
    all.push(...page.runs);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return all;
}

/** How many ticks from the first on have no gap. */
function inARow(instants: readonly number[]): number {
  const all = new Set(instants);
  const first = Math.min(...instants);
  let count = 0;
  while (all.has(first + count * 1_000)) count++;
  return count;
}

const instantOf = (run: Run) => (run.payload as ScheduledPayload).ts.getTime();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pawl-cron-"));
  ledgerPath = join(folder, "ledger.txt");
  isOver = false;
});
afterEach(async () => {
  for (const worker of workers) worker.kill("SIGKILL");
  workers.clear();
  await removeStore(address);
  rmSync(folder, { recursive: true, force: true });
});

test.each(storeNames)(
  `G22: ${ticks} ticks on %s, one each second, start one run each while ${WORKERS} workers are killed in turns`,
  {
    timeout: 120_000 + ticks * 10_000,
  },
  async (store) => {
    address = newAddress(store, folder);
    const client = createClient({ storage: openStore(address) });
    for (let count = 0; count < WORKERS; count++) startWorker();
    const killing = killOn();
    // A run whose worker was killed ends later than those of the ticks after it.
    await until("each tick has its run", ticks * 1_000, async () => {
      await pause(200);
      return inARow((await finishedRuns(client)).map(instantOf)) >= ticks;
    });
    isOver = true;
    const kills = await killing;
    const runs = await finishedRuns(client);
    const instants = runs.map(instantOf);
    expect(new Set(instants).size).toBe(instants.length);

    const late = runs.map((run) => (run.startedAt?.getTime() ?? 0) - instantOf(run));
    const notes = new LedgerReader(ledgerPath).read().length;
    console.log(`cron on ${store}`, {
      ticks: runs.length,
      kills,
      notes,
      latestMs: Math.max(...late),
    });
    await client.stop();
  },
);
