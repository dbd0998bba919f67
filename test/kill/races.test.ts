import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Client, createClient, type Run } from "pawl";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LedgerReader, type Line } from "./ledger.js";
import { kindOf, type Race, raceKinds } from "./race-jobs.js";
import { newAddress, until } from "./rig.js";
import { openStore, removeStore, storeNames } from "./store.js";

/** `npm run test:kill -- --races 2000` */
const races = Number(process.env.PAWL_KILL_RACES ?? 180);
const MS_PER_RACE = 50;

let folder = "";
let address = "";
let ledgerPath = "";
let processes: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pawl-races-"));
  ledgerPath = join(folder, "ledger.txt");
});
afterEach(async () => {
  for (const one of processes) one.kill("SIGKILL");
  processes = [];
  await removeStore(address);
  rmSync(folder, { recursive: true, force: true });
});

function startProcess(file: string, argument: string): ChildProcess {
  const one = fork(fileURLToPath(new URL(file, import.meta.url)), [address, ledgerPath, argument], {
    execArgv: ["--import", new URL("../../scripts/ts.mjs", import.meta.url).href],
  });
  processes.push(one);
  return one;
}

/** Runs all races; the waiters say when they meet, and this passes it on. */
async function runRaces(): Promise<void> {
  // One keeps its parked executions, the other replays.
  const waiters = ["1000", "0"].map((maxParked) => startProcess("race-waiter.ts", maxParked));
  await Promise.all(waiters.map((waiter) => once(waiter, "message")));
  const finisher = startProcess("race-finisher.ts", String(races));
  for (const waiter of waiters) waiter.on("message", (message) => finisher.send(message));
  let isOver = false;
  finisher.on("message", () => {
    isOver = true;
  });
  await until("the races end", races * MS_PER_RACE, () => isOver);
  for (const one of processes) one.kill("SIGTERM");
  await Promise.all(processes.map((one) => one.exitCode ?? once(one, "exit")));
}

async function allRuns(client: Client, jobId: string): Promise<Run[]> {
  const all: Run[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.getRuns({ jobId, take: 1_000, ...(cursor && { cursor }) });
    all.push(...page.runs);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return all;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

function spans(lines: readonly Line[], wanted: string): Map<number, Span> {
  const found = new Map<number, Span>();
  for (const [what, , n, from, to] of lines)
    if (what === wanted && !found.has(Number(n)))
      found.set(Number(n), { from: Number(from), to: Number(to) });
  return found;
}

/** A wait that was never recorded as one found at once what it waits for. */
function whenFinished(finished: Span, registered: Span | undefined) {
  if (registered === undefined || finished.to < registered.from) return "before";
  return finished.from > registered.to ? "after" : "during";
}

function countsByTime(lines: readonly Line[]) {
  const registered = spans(lines, "registered");
  const counts = Object.fromEntries(
    raceKinds.map((kind) => [kind, { before: 0, during: 0, after: 0 }]),
  );
  for (const [n, finished] of spans(lines, "finished")) {
    const ofKind = counts[kindOf(n)];
    if (ofKind !== undefined) ofKind[whenFinished(finished, registered.get(n))]++;
  }
  return counts;
}

/** What the run of a race must have received. */
function expectedOutputs(lines: readonly Line[]): unknown[] {
  const winners = new Map<number, readonly string[]>();
  for (const [what, , n, won = ""] of lines)
    if (what === "won") winners.set(Number(n), won.split(","));
  return Array.from({ length: races }, (_, n) => {
    if (kindOf(n) === "event") return { first: { n }, second: "nothing" };
    if (kindOf(n) === "child") return { n };
    const answers = winners.get(n) ?? [];
    expect(answers.filter((completed) => completed === "true")).toHaveLength(1);
    return { n, by: answers.indexOf("true") };
  });
}

test.each(storeNames)(
  `${races} waits on %s meet their event, token or child in another process, and each gets it once`,
  {
    timeout: 120_000 + races * MS_PER_RACE * 10,
  },
  async (store) => {
    address = newAddress(store, folder);
    const started = performance.now();
    await runRaces();
    const ledger = new LedgerReader(ledgerPath);
    const lines = ledger.read();
    ledger.close();
    const counts = countsByTime(lines);
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(
      `races on ${store}: ${races} in ${seconds} s, finished before, during or after the wait:`,
      counts,
    );

    const client = createClient({ storage: openStore(address) });
    const runs = (await Promise.all(raceKinds.map((kind) => allRuns(client, kind)))).flat();
    const numberOf = ({ payload }: Run) => (payload as Race).n;
    runs.sort((a, b) => numberOf(a) - numberOf(b));
    expect(runs.map(numberOf)).toEqual(Array.from({ length: races }, (_, n) => n));
    expect(new Set(runs.map(({ status }) => status))).toEqual(new Set(["COMPLETED"]));
    expect(runs.map(({ output }) => output)).toEqual(expectedOutputs(lines));

    const children = await allRuns(client, "raced");
    const raced = runs.filter((run) => run.jobId === "child").length;
    expect(new Set(children.map(({ payload }) => (payload as Race).n)).size).toBe(raced);
    expect(children).toHaveLength(raced);
    // One for each run that waits, one for each child, and one that the other process adds for each race.
    expect(await client.store.env.get("races")).toBe(2 * races + raced);
    await client.stop();

    const sums = { before: 0, during: 0, after: 0 };
    for (const ofKind of Object.values(counts)) {
      sums.before += ofKind.before;
      sums.during += ofKind.during;
      sums.after += ofKind.after;
    }
    expect(sums.before + sums.during + sums.after).toBe(races);
    expect(Math.min(...Object.values(sums))).toBeGreaterThan(0);
  },
);
