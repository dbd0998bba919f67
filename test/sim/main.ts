import { EmptiedSchema } from "../postgres/emptied-schema.js";
import { type Outcome, simulate } from "./simulate.js";
import type { Store } from "./world.js";

/**
 * `--from F --count N`: simulates these seeds and prints one line of JSON.
 * `--seed S`: simulates one and prints what happened. `--stop-at N`: after so many failures.
 * `--postgres URL --schema NAME`: on that server, where the schema is made and removed again.
 */
const values = new Map<string, string>();
for (let index = 2; index < process.argv.length; index += 2) {
  values.set(process.argv[index] ?? "", process.argv[index + 1] ?? "");
}

function numberOf(name: string, otherwise: number): number {
  const text = values.get(name);
  return text === undefined ? otherwise : Number(text);
}

export interface Report {
  readonly seeds: number;
  readonly ms: number;
  readonly failures: readonly { readonly seed: number; readonly violation: string }[];
  readonly counts: Readonly<Record<string, number>>;
  readonly troubles: Readonly<Record<string, number>>;
  readonly twice: number;
}

/** Seeds in which calls overlap on a server: what it makes of them differs from time to time. */
const CROWDED_EVERY = 2;
const CROWD = 0.4;

/** The store of a seed; undefined: as ever. */
type StoreOf = (seed: number) => Store | undefined;

const performanceNow = performance.now.bind(performance);

interface Seeds {
  readonly from: number;
  readonly count: number;
  readonly step: number;
  readonly stopAt: number;
}

async function many({ from, count, step, stopAt }: Seeds, storeOf: StoreOf): Promise<Report> {
  const once = (seed: number) => {
    const store = storeOf(seed);
    return simulate(seed, store === undefined ? {} : { store });
  };
  const failures: { seed: number; violation: string }[] = [];
  const counts: Record<string, number> = {};
  const troubles: Record<string, number> = {};
  const began = performanceNow();
  let seeds = 0;
  let twice = 0;
  for (let seed = from; seeds < count && failures.length < stopAt; seed += step) {
    const outcome = await once(seed);
    seeds++;
    if (outcome.violation !== undefined) failures.push({ seed, violation: outcome.violation });
    add(counts, outcome.counts);
    add(troubles, outcome.troubles);
    if (seeds % 100 !== 1 || storeOf(seed) !== undefined) continue;
    twice++;
    const again = await once(seed);
    if (again.traceHash !== outcome.traceHash) {
      failures.push({ seed, violation: `REPLAY: ${again.traceHash} is not ${outcome.traceHash}` });
    }
  }
  const ms = Math.round(performanceNow() - began);
  return { seeds, ms, failures, counts, troubles, twice };
}

function add(sum: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + count;
}

function textOf(outcome: Outcome): string {
  const { seed, store, steps, virtualMs, traceHash, violation, troubles, log } = outcome;
  return [
    ...(log ?? []),
    `seed ${seed} on ${store}: ${steps} steps, ${virtualMs} ms, trace ${traceHash}`,
    ...Object.entries(troubles).map(([text, count]) => `  ${count} × ${text}`),
    violation ?? "no promise was broken",
  ].join("\n");
}

function postgresStore(made: EmptiedSchema, seed: number): Store {
  const isCrowded = seed % CROWDED_EVERY === 0;
  return {
    name: `PostgreSQL${isCrowded ? ", where calls overlap" : ""}`,
    open: (clock) => made.open(clock),
    settled: () => made.listener.settled(),
    ...(isCrowded ? { crowd: CROWD } : {}),
    remove: () => made.empty(),
  };
}

async function main(storeOf: StoreOf): Promise<string> {
  if (values.has("--seed")) {
    const seed = numberOf("--seed", 1);
    const store = storeOf(seed);
    return textOf(
      await simulate(seed, { keepLog: true, ...(store === undefined ? {} : { store }) }),
    );
  }
  const seeds = {
    from: numberOf("--from", 1),
    count: numberOf("--count", 100),
    step: numberOf("--step", 1),
    stopAt: numberOf("--stop-at", 5),
  };
  return JSON.stringify(await many(seeds, storeOf));
}

async function onPostgres(url: string): Promise<string> {
  const made = await EmptiedSchema.make(url, values.get("--schema") ?? `pawl_sim_${process.pid}`);
  const text = await main((seed) => postgresStore(made, seed));
  await made.remove();
  return text;
}

// A pipe takes its time; an abandoned world leaves nothing that must be waited for.
const url = values.get("--postgres");
const text = url === undefined ? await main(() => undefined) : await onPostgres(url);
process.stdout.write(`${text}\n`, () => process.exit());
