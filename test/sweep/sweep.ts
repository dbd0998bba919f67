import type { Storage } from "pawl";
import { afterAll, describe, expect, test } from "vitest";
import { checkEnd } from "./checks.js";
import { type FaultKind, type FaultPlan, FaultTable, faultKinds } from "./faults.js";
import { End, type Scenario } from "./scenario.js";
import { Stage } from "./stage.js";
// Loaded by the engine at the first failure; here it shall not cost the first plays time.
import "p-retry";

const MAX_CALLS = 2_000;
const TIMEOUT_MS = 120_000;

/** Fresh data, and as many handles on it as a play has processes. */
export interface Store {
  open(): Storage;
  dispose(): void;
}

export interface SweepOptions {
  readonly title: string;
  readonly scenarios: readonly Scenario[];
  /** Storage methods that these scenarios call: each must have met each kind of fault. */
  readonly methods: readonly string[];
  makeStore(): Store;
}

/** One test per scenario: every storage call that it makes meets every kind of fault. */
export function sweep({ title, scenarios, methods, makeStore }: SweepOptions): void {
  describe(`fault sweep, ${title}`, () => {
    const table = new FaultTable();
    const totals = { scenarios: 0, calls: 0, plays: 0, ms: 0 };
    for (const scenario of scenarios) {
      for (const maxParked of scenario.maxParked ?? [1_000]) {
        const name = `${scenario.name}${maxParked === 0 ? " (always replayed)" : ""}`;
        test(name, { timeout: TIMEOUT_MS }, async () => {
          const startedAt = performance.now();
          const sweeper = new Sweeper(scenario, maxParked, makeStore, table);
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
    test("every kind of fault met every method", () => {
      const missed = methods.flatMap((method) =>
        faultKinds.filter((kind) => table.count(kind, method) === 0).map((k) => `${k} ${method}`),
      );
      expect(missed).toEqual([]);
    });
  });
}

class Sweeper {
  readonly #scenario: Scenario;
  readonly #maxParked: number;
  readonly #makeStore: () => Store;
  readonly #table: FaultTable;
  #baselineMs: number | undefined;
  calls = 0;
  plays = 0;

  constructor(scenario: Scenario, maxParked: number, makeStore: () => Store, table: FaultTable) {
    this.#scenario = scenario;
    this.#maxParked = maxParked;
    this.#makeStore = makeStore;
    this.#table = table;
  }

  async run(): Promise<void> {
    const { name, host = "worker" } = this.#scenario;
    const faultless = await this.#play(undefined, `${name}, without a fault`);
    this.#baselineMs = faultless.clock.elapsedMs;
    this.calls = faultless.callsOf(host);
    for (const kind of faultKinds) await this.#sweepKind(kind, host);
  }

  /** Moves the fault on until the scenario comes to its end before it. */
  async #sweepKind(kind: FaultKind, host: string): Promise<void> {
    for (let call = 1; call <= MAX_CALLS; call++) {
      const plan = { kind, host, call };
      const stage = await this.#play(plan, `${this.#scenario.name}, ${kind} at call ${call}`);
      if (stage.fired === undefined) return;
      this.#table.add(stage.fired);
    }
    throw new Error(`"${this.#scenario.name}" makes ever more calls`);
  }

  async #play(plan: FaultPlan | undefined, what: string): Promise<Stage> {
    this.plays++;
    const store = this.#makeStore();
    const stage = new Stage(() => store.open(), this.#maxParked, plan);
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
      const method = stage.fired === undefined ? "" : ` (${stage.fired.method})`;
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${what}${method}: ${message}`, { cause });
    } finally {
      store.dispose();
    }
  }
}
