import type { Random } from "./random.js";

export const fates = [
  "ok",
  "error",
  "lost-answer",
  "duplicate",
  "late",
  "crash-before",
  "crash-after",
  "pause-before",
  "pause-after",
  "slow",
] as const;
export type Fate = (typeof fates)[number];

/** What becomes of one call on its way to the store and back. */
export interface Plan {
  readonly fate: Fate;
  readonly requestMs: number;
  readonly answerMs: number;
  readonly pauseMs: number;
}

const NO_FAULT: Plan = { fate: "ok", requestMs: 0, answerMs: 0, pauseMs: 0 };

/** How bad the weather is in one seed, and what it did. */
export class Faults {
  readonly #random: Random;
  readonly #leaseMs: number;
  readonly #weights: Record<Fate, number>;
  readonly #hintLoss: number;
  #crashes: number;
  #pauses: number;
  isOn = true;
  /** operation → fate → how often. */
  readonly counts = new Map<string, number>();

  constructor(random: Random, leaseMs: number, isCalm: boolean) {
    this.#random = random;
    this.#leaseMs = leaseMs;
    // Swizzle: each kind is off in some seeds, so that the others are seen without it.
    const some = (weight: number) => (isCalm || random.chance(0.3) ? 0 : weight * random.next());
    this.#weights = {
      ok: 1,
      error: some(0.12),
      "lost-answer": some(0.12),
      duplicate: some(0.1),
      late: some(0.05),
      "crash-before": some(0.02),
      "crash-after": some(0.02),
      "pause-before": some(0.02),
      "pause-after": some(0.02),
      slow: some(0.15),
    };
    this.#hintLoss = isCalm ? 0 : random.pick([0, 0.1, 0.5, 1]);
    this.#crashes = random.between(1, 8);
    this.#pauses = random.between(1, 6);
  }

  /** Only what is `fenced` may arrive after its sender gave it up. */
  plan(method: string, fenced: boolean): Plan {
    const drawn = this.isOn ? this.#fate(method) : "ok";
    const fate = drawn === "late" && !fenced ? "error" : drawn;
    this.count(`${method}: ${fate}`);
    if (fate === "ok") return NO_FAULT;
    const slowMs = () => (this.#random.chance(0.5) ? this.#random.pick([1, 20, 400, 3_000]) : 0);
    return {
      fate,
      requestMs: fate === "slow" || fate === "late" ? slowMs() : 0,
      answerMs: fate === "slow" ? slowMs() : 0,
      pauseMs: Math.round(this.#leaseMs * this.#random.pick([0.1, 0.5, 1.1, 2, 5])),
    };
  }

  #fate(method: string): Fate {
    const fate = this.#random.weighted(this.#weights);
    // What is not sent under an id is not repeated by anybody.
    const hasId = method === "commit" || method === "createRuns" || method === "claimRuns";
    if (!hasId && (fate === "duplicate" || fate === "late")) return "ok";
    if (!fate.startsWith("crash") && !fate.startsWith("pause")) return fate;
    // A start makes many small reads; most deaths shall come when runs are under way.
    if (!hasId && this.#random.chance(0.8)) return "ok";
    const left = fate.startsWith("crash") ? this.#crashes-- : this.#pauses--;
    return left > 0 ? fate : "ok";
  }

  losesHint(): boolean {
    const lost = this.isOn && this.#random.chance(this.#hintLoss);
    this.count(lost ? "hint: lost" : "hint: ok");
    return lost;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}
