/**
 * Instants, ascending, and how many starts each stands for. It is kept short:
 * of too many entries two become one at the later instant, so that a start is
 * never forgotten too early.
 */
export type StartLog = readonly (readonly [at: number, count: number])[];

const MOST_ENTRIES = 100;

/** With one more start at the end; what is older than the period before it is dropped. */
export function withStart(log: StartLog, at: number, periodMs: number): StartLog {
  const kept = log.filter(([instant]) => instant > at - periodMs);
  const last = kept.at(-1);
  const next: StartLog =
    last !== undefined && last[0] >= at
      ? [...kept.slice(0, -1), [last[0], last[1] + 1]]
      : [...kept, [at, 1]];
  return next.length <= MOST_ENTRIES ? next : halved(next);
}

/** Without one start of exactly this instant; the same log if there is none. */
export function withoutStart(log: StartLog, at: number): StartLog {
  if (!log.some(([instant]) => instant === at)) return log;
  const counts = log.map(
    ([instant, count]) => [instant, instant === at ? count - 1 : count] as const,
  );
  return counts.filter(([, count]) => count > 0);
}

function halved(log: StartLog): StartLog {
  const merged: [number, number][] = [];
  for (const [index, [at, count]] of log.entries()) {
    const last = merged.at(-1);
    if (index % 2 === 1 && last !== undefined) {
      last[0] = at;
      last[1] += count;
    } else {
      merged.push([at, count]);
    }
  }
  return merged;
}

/**
 * The first instant, not before `from`, at which one more start makes no more
 * than `limit` in the period that ends then; starts after `from` count as well.
 */
export function roomAt(log: StartLog, limit: number, periodMs: number, from: number): number {
  let starts = 0;
  for (const [at, count] of [...log].reverse()) {
    starts += count;
    if (starts >= limit) return Math.max(from, at + periodMs);
  }
  return from;
}
