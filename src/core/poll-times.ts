export interface PollTimes {
  /** When the first poll was due, and when polling ends. */
  readonly startedAt: number;
  readonly deadlineAt: number;
  readonly intervalMs: number;
}

/**
 * When to poll again after an answer at `now` that did not fit; `undefined` once the time is over.
 * Polls keep their phase however long answers take. One that would come within half an interval is
 * left out. The last one is at the deadline.
 * @param notBefore what the answer asks for; it delays one poll, and the next is in phase again
 */
export function nextPollAt(
  { startedAt, deadlineAt, intervalMs }: PollTimes,
  now: number,
  notBefore = now,
): number | undefined {
  if (now >= deadlineAt) return undefined;
  const steps = Math.ceil((now - startedAt) / intervalMs + 0.5);
  const inPhase = startedAt + Math.max(1, steps) * intervalMs;
  return Math.min(Math.max(inPhase, notBefore), deadlineAt);
}
