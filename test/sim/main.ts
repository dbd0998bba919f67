import { type Outcome, simulate } from "./simulate.js";

/**
 * `--from F --count N`: simulates these seeds and prints one line of JSON.
 * `--seed S`: simulates one and prints what happened. `--stop-at N`: after so many failures.
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

const performanceNow = performance.now.bind(performance);

async function many(from: number, count: number, step: number, stopAt: number): Promise<Report> {
  const failures: { seed: number; violation: string }[] = [];
  const counts: Record<string, number> = {};
  const troubles: Record<string, number> = {};
  const began = performanceNow();
  let seeds = 0;
  let twice = 0;
  for (let seed = from; seeds < count && failures.length < stopAt; seed += step) {
    const outcome = await simulate(seed);
    seeds++;
    if (outcome.violation !== undefined) failures.push({ seed, violation: outcome.violation });
    add(counts, outcome.counts);
    add(troubles, outcome.troubles);
    if (seeds % 100 !== 1) continue;
    twice++;
    const again = await simulate(seed);
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

async function main(): Promise<string> {
  if (values.has("--seed")) return textOf(await simulate(numberOf("--seed", 1), { keepLog: true }));
  const report = await many(
    numberOf("--from", 1),
    numberOf("--count", 100),
    numberOf("--step", 1),
    numberOf("--stop-at", 5),
  );
  return JSON.stringify(report);
}

// A pipe takes its time; an abandoned world leaves nothing that must be waited for.
process.stdout.write(`${await main()}\n`, () => process.exit());
