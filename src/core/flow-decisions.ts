import type { DebounceTimes, Rate } from "./flow.js";
import { roomAt, type StartLog, withStart } from "./start-log.js";

/**
 * What a rule decides about one start, from the value that all processes share.
 * `next` is that value afterwards; it holds only if the value has not moved on.
 */
export type Verdict<State> =
  | { readonly kind: "go"; readonly next: State }
  | { readonly kind: "wait"; readonly until: number; readonly next: State }
  | { readonly kind: "drop"; readonly until: number }
  | { readonly kind: "superseded"; readonly by: string };

/** `until`: after this instant the value says nothing any more and may go. */
interface Ageing {
  readonly until: number;
}

export interface RateState extends Ageing {
  readonly starts: StartLog;
}

/** At most `limit` starts in any period; the rest is dropped. */
export function rateLimited(
  state: RateState | undefined,
  { limit, periodMs }: Rate,
  now: number,
): Verdict<RateState> {
  const starts = state?.starts ?? [];
  const room = roomAt(starts, limit, periodMs, now);
  if (room > now) return { kind: "drop", until: room };
  return { kind: "go", next: { starts: withStart(starts, now, periodMs), until: now + periodMs } };
}

export interface ThrottleState extends Ageing {
  readonly starts: StartLog;
  /** Turns that were given out, as far as they bear on the next one. */
  readonly turns: StartLog;
}

/**
 * At most `limit` starts in any nine tenths of a period; the rest waits for its
 * turn. A turn is only when to look again: what counts are the starts themselves,
 * so after an outage no crowd of overdue turns goes at once. A start that is up to
 * a tenth late counts as of its turn: who comes to the next turn on time would
 * find no room else, and go behind all the others.
 */
export function throttled(
  state: ThrottleState | undefined,
  { limit, periodMs }: Rate,
  instant: number,
  turn: number | undefined,
  deadlineAt = Number.POSITIVE_INFINITY,
): Verdict<ThrottleState> {
  const { starts = [], turns = [] } = state ?? {};
  // The clock is a lower bound; that it is the run's turn is known from the claim.
  const now = Math.max(instant, turn ?? instant);
  const start = turn !== undefined && now - turn <= periodMs / 10 ? turn : now;
  const room = roomAt(starts, limit, periodMs, start);
  const lastTurn = turns.at(-1)?.[0] ?? 0;
  if (room <= now && (turn !== undefined || lastTurn <= now)) {
    const next = {
      starts: withStart(starts, room, periodMs),
      turns: turn === undefined ? withStart(turns, now, periodMs) : turns,
    };
    return { kind: "go", next: { ...next, until: ageOf(next, periodMs) } };
  }
  const earliest = Math.max(now + 1, roomAt(starts, limit, periodMs, now), lastTurn);
  const until = roomAt(turns, limit, periodMs, earliest);
  // It will not live to see its turn, so that is left to others.
  if (until >= deadlineAt && state !== undefined)
    return { kind: "wait", until: deadlineAt, next: state };
  const next = { starts, turns: withStart(turns, until, periodMs) };
  return { kind: "wait", until, next: { ...next, until: ageOf(next, periodMs) } };
}

function ageOf({ starts, turns }: Omit<ThrottleState, "until">, periodMs: number): number {
  return Math.max(0, ...[...starts, ...turns].map(([at]) => at)) + periodMs;
}

export interface DebounceState extends Ageing {
  /** The last start, which takes the place of those before, and when it was created. */
  readonly runId: string;
  readonly createdAt: number;
  readonly firstAt: number;
  /** When it goes on, unless another start comes. */
  readonly dueAt: number;
  readonly isStarted: boolean;
}

/** True while a start joins those that wait already. */
export function isCollecting(
  state: DebounceState | undefined,
  { periodMs }: DebounceTimes,
  now: number,
): state is DebounceState {
  // One that was cancelled while it waited never starts.
  return state !== undefined && !state.isStarted && now <= state.dueAt + periodMs;
}

/** When a run goes on that was started now. */
export function debouncedUntil(
  { periodMs, maxDelayMs }: DebounceTimes,
  firstAt: number,
  now: number,
): number {
  return Math.max(now, Math.min(now + periodMs, firstAt + maxDelayMs));
}

/** The last of several starts goes on, when nothing has started for a period. */
export function debounced(
  state: DebounceState | undefined,
  times: DebounceTimes,
  now: number,
  run: { readonly id: string; readonly createdAt: number; readonly hasWaited: boolean },
): Verdict<DebounceState> {
  const { id: runId, createdAt, hasWaited } = run;
  const isOther = state !== undefined && state.runId !== runId;
  // Workers may come to two starts in the other order; the later one counts.
  const isLater = isOther && state.createdAt >= createdAt;
  if (isLater && hasWaited) return { kind: "superseded", by: state.runId };
  if (isLater && state.createdAt > createdAt && isCollecting(state, times, now))
    return { kind: "superseded", by: state.runId };
  if (hasWaited) {
    const own = isOther ? undefined : state;
    const next = { runId, createdAt, firstAt: now, dueAt: now, ...own, isStarted: true };
    return { kind: "go", next: { ...next, until: now + times.periodMs } };
  }
  const firstAt = isCollecting(state, times, now) ? state.firstAt : now;
  const dueAt = debouncedUntil(times, firstAt, now);
  const next = { runId, createdAt, firstAt, dueAt, isStarted: dueAt <= now };
  const kept = { ...next, until: dueAt + times.periodMs };
  return dueAt <= now ? { kind: "go", next: kept } : { kind: "wait", until: dueAt, next: kept };
}
