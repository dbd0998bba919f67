import { StorageError } from "../../src/core/errors.js";

/**
 * - `crash before`: the process dies before the call takes effect; neither it
 *   nor any later call of that process is answered or applied.
 * - `crash after`: the same, but the call has taken effect.
 * - `answer lost`: the call takes effect, and its answer is an error.
 * - `error once`: the call is refused and changes nothing.
 * - `away`: this and every later call, of all processes, is refused until the
 *   storage is back after some seconds.
 * - `away for long`: until it is back after more than the lease.
 */
export const faultKinds = [
  "crash before",
  "crash after",
  "answer lost",
  "error once",
  "away",
  "away for long",
] as const;
export type FaultKind = (typeof faultKinds)[number];

export const LEASE_MS = 30_000;

export const awayMs: Readonly<Partial<Record<FaultKind, number>>> = {
  away: 7_000,
  "away for long": 2.5 * LEASE_MS,
};

/** Executions of one task that a fault may cost: at most the one under way. */
export function interruptionsOf(kind: FaultKind | undefined): number {
  return kind?.startsWith("crash") || kind === "away for long" ? 1 : 0;
}

/** A fault at the n-th storage call, from 1, of the process that is called `host`. */
export interface FaultPlan {
  readonly kind: FaultKind;
  readonly host: string;
  readonly call: number;
}

export interface Fired {
  readonly kind: FaultKind;
  readonly method: string;
  /** Of the stage's clock. */
  readonly at: number;
}

export function refusal(what: string): StorageError {
  return new StorageError("STORAGE_FAILED", `Injected fault: ${what}.`);
}

/** How often each kind of fault really fired, by method. */
export class FaultTable {
  readonly #counts = new Map<string, number>();
  readonly #methods = new Set<string>();
  #total = 0;

  add({ kind, method }: Fired): void {
    this.#methods.add(method);
    this.#total++;
    this.#counts.set(`${kind} ${method}`, this.count(kind, method) + 1);
  }

  count(kind: FaultKind, method: string): number {
    return this.#counts.get(`${kind} ${method}`) ?? 0;
  }

  totalOf(kind: FaultKind): number {
    return this.methods.reduce((sum, method) => sum + this.count(kind, method), 0);
  }

  get total(): number {
    return this.#total;
  }

  get methods(): readonly string[] {
    return [...this.#methods].sort();
  }

  toString(): string {
    const head = ["", ...faultKinds];
    const rows = this.methods.map((method) => [
      method,
      ...faultKinds.map((kind) => String(this.count(kind, method))),
    ]);
    const widths = head.map((_, column) =>
      Math.max(...[head, ...rows].map((row) => (row[column] ?? "").length)),
    );
    return [head, ...rows]
      .map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  "))
      .join("\n");
  }
}
