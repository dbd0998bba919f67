import { Driver } from "./driver.js";
import { Faults } from "./faults.js";
import { takeGlobals } from "./globals.js";
import { Random } from "./random.js";
import { Schedule } from "./schedule.js";
import { judge } from "./verdict.js";
import { Violation } from "./violation.js";
import { LEASE_MS, memoryStore, type Store, sqliteStore, World } from "./world.js";

/** Virtual time: things come from outside, the weather may be bad, and all must be over. */
const OUTSIDE_MS = 90_000;
const WEATHER_MS = 150_000;
const LIVENESS_MS = 1_500_000;
const MOST_STEPS = 60_000;
/** Of all seeds, those that run on the real SQLite adapter. */
const SQLITE_EVERY = 20;

export interface Outcome {
  readonly seed: number;
  readonly store: string;
  readonly traceHash: string;
  readonly steps: number;
  readonly virtualMs: number;
  /** Absent: no promise was broken. */
  readonly violation?: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly troubles: Readonly<Record<string, number>>;
  readonly log?: readonly string[];
}

function storeOfSeed(seed: number): Store {
  return seed % SQLITE_EVERY === 0 ? sqliteStore() : memoryStore();
}

export async function simulate(
  seed: number,
  {
    keepLog = false,
    store = storeOfSeed(seed),
  }: { readonly keepLog?: boolean; readonly store?: Store } = {},
): Promise<Outcome> {
  const schedule = new Schedule(new Random(seed, "schedule"), keepLog);
  const giveBack = takeGlobals(schedule, seed);
  const setup = new Random(seed, "setup");
  const faults = new Faults(new Random(seed, "faults"), LEASE_MS, setup.chance(0.05));
  const extras = { ticks: new Random(seed, "ticks"), links: new Random(seed, "links") };
  const world = new World(store, schedule, faults, setup, extras);
  const unhandled = (error: unknown) => world.report(error);
  process.on("unhandledRejection", unhandled);
  try {
    await live(world, seed, setup);
  } catch (error) {
    world.report(error);
  } finally {
    await world.end();
    await schedule.run(() => true, 0, 0).catch(() => {});
    process.off("unhandledRejection", unhandled);
    giveBack();
  }
  const { ledger, violation } = world;
  const counts = new Map([...faults.counts, ...prefixed("command", ledger.commands)]);
  counts.set("executions", ledger.executions);
  counts.set("task starts", ledger.starts);
  counts.set("task starts repeated", ledger.repeats.length);
  return {
    seed,
    store: store.name,
    traceHash: schedule.traceHash,
    steps: schedule.steps,
    virtualMs: Math.round(schedule.now),
    ...(violation === undefined ? {} : { violation: describe(violation) }),
    counts: Object.fromEntries(counts),
    troubles: Object.fromEntries(world.troubles),
    ...(schedule.log === undefined ? {} : { log: schedule.log }),
  };
}

async function live(world: World, seed: number, setup: Random): Promise<void> {
  const { schedule, monitor } = world;
  const driver = new Driver(world, new Random(seed, "driver"), new Random(seed, "programs"));
  await world.begin(setup.between(1, 4));
  driver.plan(OUTSIDE_MS);
  schedule.hurry = setup.pick([0, 0.01, 0.05]);
  const isOver = () => world.violation !== undefined || (driver.isDone && monitor.open.size === 0);
  await schedule.run(isOver, WEATHER_MS, MOST_STEPS);
  world.calm();
  const isBounded = await schedule.run(isOver, schedule.now + LIVENESS_MS, MOST_STEPS);
  if (world.violation !== undefined) return;
  if (!isBounded) throw new Violation("LIVENESS", stuck(world, driver));
  // What was still on its way must not change anything any more.
  await schedule.run(() => world.violation !== undefined, schedule.now + 5_000, 2_000);
  if (world.violation === undefined) await judge(world, driver);
}

function stuck({ monitor, view, schedule }: World, driver: Driver): string {
  const runs = [...monitor.open].map((id) => {
    const run = view.run(id);
    return `${id} (${run?.jobId} ${run?.status}, epoch ${run?.epoch}, dueAt ${run?.dueAt}, stalls ${run?.stalls}, lease ${run?.leaseUntil})`;
  });
  const outside = driver.isDone ? "" : " and requests from outside without an answer";
  return `after ${schedule.steps} steps: open are ${runs.join(", ") || "no runs"}${outside}`;
}

function describe(violation: unknown): string {
  if (violation instanceof Violation) return violation.message;
  return violation instanceof Error ? (violation.stack ?? violation.message) : String(violation);
}

function prefixed(prefix: string, counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].map(([name, count]) => [`${prefix}: ${name}`, count]);
}
