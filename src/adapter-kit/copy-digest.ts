import { createHash } from "node:crypto";
import type { StoredItem } from "../core/storage.js";

/** How many there are. Signals include those that were read, values those that were deleted. */
export interface CopyCounts {
  readonly runs: number;
  readonly tasks: number;
  readonly signals: number;
  readonly logs: number;
  readonly values: number;
  /** Of purged runs, whose ids are not to be used again yet. */
  readonly tombstones: number;
  /** Of purged runs. */
  readonly keys: number;
}

const names = {
  run: "runs",
  task: "tasks",
  signal: "signals",
  log: "logs",
  value: "values",
  tombstone: "tombstones",
  key: "keys",
} as const satisfies Record<StoredItem["kind"], keyof CopyCounts>;

/** A sum may wrap here and is exact all the same. */
const MODULUS = 2 ** 48;
const HEX_DIGITS = 12;

/** Counts things and sums up their hashes, by kind: two stores may give the same things in different orders. */
export class Digest {
  readonly #counts: Record<keyof CopyCounts, number> = zeros();
  readonly #sums: Record<keyof CopyCounts, number> = zeros();

  get counts(): CopyCounts {
    return { ...this.#counts };
  }

  count(item: StoredItem): void {
    this.#counts[names[item.kind]] += 1;
  }

  add(item: StoredItem): void {
    this.count(item);
    const hash = createHash("sha256").update(textOf(item)).digest("hex");
    const name = names[item.kind];
    const sum = this.#sums[name] + Number.parseInt(hash.slice(0, HEX_DIGITS), 16);
    this.#sums[name] = sum % MODULUS;
  }

  /** Kinds of which the other one has not the same. */
  differencesFrom(other: Digest): (keyof CopyCounts)[] {
    return Object.values(names).filter(
      (name) =>
        this.#counts[name] !== other.#counts[name] || this.#sums[name] !== other.#sums[name],
    );
  }
}

function zeros(): Record<keyof CopyCounts, number> {
  return { runs: 0, tasks: 0, signals: 0, logs: 0, values: 0, tombstones: 0, keys: 0 };
}

/** The same for the same thing, whatever the order of its fields and the way a store says "no topics". */
function textOf(item: StoredItem): string {
  if (item.kind !== "task") return JSON.stringify(item, sorted);
  const { topics = [], filter = null, ...task } = item.task;
  return JSON.stringify({ ...item, task: { ...task, topics, filter } }, sorted);
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
