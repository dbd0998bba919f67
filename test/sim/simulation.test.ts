import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Bundle } from "./bundle.js";
import { fates } from "./faults.js";
import { ids, reads, simulationReport } from "./report.js";

// `npm run test:sim -- --seeds N` and `-- --seed S` set these; see scripts/sim.mjs.
const SEEDS = Number(process.env.PAWL_SIM_SEEDS ?? 1_000);
const FROM = Number(process.env.PAWL_SIM_FROM ?? 1);
const ONE = process.env.PAWL_SIM_SEED;
/** With fewer seeds, chance may leave something out. */
const ENOUGH_TO_COUNT = 1_000;

const commands = [
  ...["task", "nested", "all", "allSettled", "race", "any", "waitForAny", "parallel", "wait"],
  ...[
    "invoke",
    "invokeAndWait",
    "batch",
    "event",
    "tell",
    "await",
    "token",
    "count",
    "value",
    "tick",
    "tick run",
    "yield",
    "log",
    "throw",
    "poison",
  ],
  ...["hook onStart", "hook onSuccess", "hook onFailure", "hook onCancel"],
];
const outside = [
  ...["invoke", "send", "cancel", "retry", "stop", "start", "burst", "complete"],
  ...["register", "unregister", "pause", "resume", "linked", "ready"],
];

/** All that must have happened for the result to mean anything. */
const mustHappen = [
  ...ids.flatMap((method) => fates.map((fate) => `${method}: ${fate}`)),
  ...reads.flatMap((method) =>
    ["ok", "error", "lost-answer", "slow"].map((f) => `${method}: ${f}`),
  ),
  ...commands.map((command) => `command: ${command}`),
  ...outside.map((request) => `outside: ${request}`),
  "hint: lost",
  "task starts repeated",
];

describe("simulation", () => {
  let bundle: Bundle;

  beforeAll(async () => {
    bundle = await Bundle.make();
  });

  afterAll(() => bundle?.remove());

  it.runIf(ONE !== undefined)("replays one seed", { timeout: 600_000 }, async () => {
    const text = await bundle.replay(Number(ONE));
    console.log(text);
    expect(text).toContain("no promise was broken");
  });

  it.runIf(ONE === undefined)(
    `no seed of ${SEEDS} breaks a promise`,
    { timeout: 3_600_000 },
    async () => {
      const report = await bundle.simulate(SEEDS, FROM, 5);
      console.log(simulationReport(report));
      const failures = report.failures.map(
        ({ seed, violation }) =>
          `seed ${seed}: ${violation}\n  replay it: npm run test:sim -- --seed ${seed}`,
      );
      expect(failures, failures.join("\n")).toEqual([]);
      expect(report.seeds).toBe(SEEDS);
      expect(report.twice).toBeGreaterThanOrEqual(Math.floor(SEEDS / 100));
      if (SEEDS < ENOUGH_TO_COUNT) return;
      expect(mustHappen.filter((what) => (report.counts[what] ?? 0) === 0)).toEqual([]);
    },
  );
});
