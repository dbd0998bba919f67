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

function show(outcome: Outcome): void {
  for (const line of outcome.log ?? []) console.log(line);
  const { seed, store, steps, virtualMs, traceHash, violation, troubles } = outcome;
  console.log(`seed ${seed} on ${store}: ${steps} steps, ${virtualMs} ms, trace ${traceHash}`);
  for (const [text, count] of Object.entries(troubles)) console.log(`  ${count} × ${text}`);
  console.log(violation ?? "no promise was broken");
  if (violation !== undefined) process.exitCode = 1;
}

if (values.has("--seed")) {
  show(await simulate(numberOf("--seed", 1), { keepLog: values.get("--log") !== "no" }));
} else {
  const report = await many(
    numberOf("--from", 1),
    numberOf("--count", 100),
    numberOf("--step", 1),
    numberOf("--stop-at", 5),
  );
  console.log(JSON.stringify(report));
}
process.exit();
