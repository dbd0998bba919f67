import { afterAll, describe, expect, test } from "vitest";
import { checkEnd } from "./checks.js";
import { type FaultKind, type FaultPlan, FaultTable, faultKinds } from "./faults.js";
import { End, type Scenario } from "./scenario.js";
import { Stage, type Store } from "./stage.js";
// Loaded by the engine at the first failure; here it shall not cost the first plays time.
import "p-retry";

const MAX_CALLS = 2_000;
const TIMEOUT_MS = 1_200_000;

/** For those that take long: `npm run test:sweep` sets it to 1. */
export const FEW = Number(process.env.PAWL_SWEEP_EVERY ?? 5);

export interface SweepOptions {
  readonly title: string;
  readonly scenarios: readonly Scenario[];
  /** Storage methods that these scenarios call: each must have met each kind of fault, if all faults are tried. */
  readonly methods: readonly string[];
  makeStore(): Store;
  /**
   * Only each n-th of the faults, so many that they take turns if n has no divisor in common with the number of their
   * kinds. Default 1: all.
   */
  readonly every?: number;
}

/** One test per scenario: every storage call that it makes meets every kind of fault. */
export function sweep(options: SweepOptions): void {
  const { title, scenarios, methods, every = 1 } = options;
  describe(`fault sweep, ${title}`, () => {
    const table = new FaultTable();
    const totals = { scenarios: 0, calls: 0, plays: 0, ms: 0 };
    for (const scenario of scenarios) {
      for (const maxParked of scenario.maxParked ?? [1_000]) {
        const name = `${scenario.name}${maxParked === 0 ? " (always replayed)" : ""}`;
        test(name, { timeout: TIMEOUT_MS }, async () => {
          const startedAt = performance.now();
          const sweeper = new Sweeper(scenario, maxParked, options, table);
          await sweeper.run();
          totals.scenarios++;
          totals.calls += sweeper.calls;
          totals.plays += sweeper.plays;
          totals.ms += performance.now() - startedAt;
        });
      }
    }
    afterAll(() => {
      const { scenarios: count, calls, plays, ms } = totals;
      console.log(
        `fault sweep, ${title}: ${count} scenarios, ${calls} storage calls, ${plays} plays, ${table.total} faults fired, ${Math.round(ms)} ms\n${table}`,
      );
    });
    if (every === 1) {
      test("every kind of fault met every method", () => {
        const missed = methods.flatMap((method) =>
          faultKinds.filter((kind) => table.count(kind, method) === 0).map((k) => `${k} ${method}`),
        );
        expect(missed).toEqual([]);
      });
    } else {
      // Which call is the n-th depends on a server's answers, so the methods that a sample meets do, too.
      test("the faults of the sample fired", () => {
        expect(table.total).toBeGreaterThan((totals.plays - totals.scenarios) / 2);
        expect(faultKinds.filter((kind) => table.totalOf(kind) === 0)).toEqual([]);
      });
    }
  });
}

class Sweeper {
  readonly #scenario: Scenario;
  readonly #maxParked: number;
  readonly #options: SweepOptions;
  readonly #table: FaultTable;
  #baselineMs: number | undefined;
  calls = 0;
  plays = 0;

  constructor(scenario: Scenario, maxParked: number, options: SweepOptions, table: FaultTable) {
    this.#scenario = scenario;
    this.#maxParked = maxParked;
    this.#options = options;
    this.#table = table;
  }

  async run(): Promise<void> {
    const { name, host = "worker" } = this.#scenario;
    const faultless = await this.#play(undefined, `${name}, without a fault`);
    this.#baselineMs = faultless.clock.elapsedMs;
    this.calls = faultless.callsOf(host);
    const { every = 1 } = this.#options;
    if (every > 1) return this.#sample(host, every);
    for (const kind of faultKinds) await this.#sweepKind(kind, host);
  }

  /** Each n-th of all that can befall a call; calls that only a fault brings about are left out. */
  async #sample(host: string, every: number): Promise<void> {
    const count = this.calls * faultKinds.length;
    const offset = this.#options.scenarios.indexOf(this.#scenario) % Math.min(every, count);
    for (let at = offset; at < count; at += every) {
      const kind = faultKinds[at % faultKinds.length];
      const call = 1 + Math.floor(at / faultKinds.length);
      if (kind !== undefined) await this.#strike({ kind, host, call });
    }
  }

  /** Moves the fault on until the scenario comes to its end before it. */
  async #sweepKind(kind: FaultKind, host: string): Promise<void> {
    for (let call = 1; call <= MAX_CALLS; call++) {
      if (!(await this.#strike({ kind, host, call }))) return;
    }
    throw new Error(`"${this.#scenario.name}" makes ever more calls`);
  }

  /** False if the scenario came to its end before. */
  async #strike(plan: FaultPlan): Promise<boolean> {
    const what = `${this.#scenario.name}, ${plan.kind} at call ${plan.call}`;
    const { fired } = await this.#play(plan, what);
    if (fired !== undefined) this.#table.add(fired);
    return fired !== undefined;
  }

  async #play(plan: FaultPlan | undefined, what: string): Promise<Stage> {
    this.plays++;
    const store = this.#options.makeStore();
    const stage = new Stage(store, this.#maxParked, plan);
    try {
      await stage.play(this.#scenario.script(stage));
      const end = new End(stage, await stage.runs());
      await checkEnd(end, this.#scenario, {
        maxParked: this.#maxParked,
        baselineMs: this.#baselineMs,
      });
      await stage.close();
      return stage;
    } catch (cause) {
      stage.isAbandoned = true;
      const method = stage.fired === undefined ? "" : ` (${stage.fired.method})`;
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${what}${method}: ${message}`, { cause });
    } finally {
      await store.dispose();
    }
  }
}
