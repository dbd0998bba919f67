import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkFlow, hasFlow, rateOf, timesOf } from "../../src/core/flow.js";
import {
  type DebounceState,
  debounced,
  isCollecting,
  type RateState,
  rateLimited,
  type ThrottleState,
  throttled,
} from "../../src/core/flow-decisions.js";
import { roomAt, type StartLog, withoutStart, withStart } from "../../src/core/start-log.js";
import { thrownCode } from "../engine/support.js";

/** Most starts in any window of this length. */
function most(starts: readonly number[], periodMs: number): number {
  return Math.max(
    0,
    ...starts.map((end) => starts.filter((at) => at <= end && at > end - periodMs).length),
  );
}

const gaps = fc.array(fc.integer({ min: 0, max: 50 }), {
  minLength: 1,
  maxLength: 400,
  size: "max",
});
const rates = fc.record({
  limit: fc.integer({ min: 1, max: 300 }),
  periodMs: fc.integer({ min: 1, max: 4_000 }),
});

describe("the log of starts", () => {
  test("has room again when the start that is in the way is a period old", () => {
    let log: StartLog = [];
    for (const at of [0, 10, 10]) log = withStart(log, at, 100);
    expect(roomAt(log, 4, 100, 20)).toBe(20);
    expect(roomAt(log, 3, 100, 20)).toBe(100);
    expect(roomAt(log, 1, 100, 20)).toBe(110);
    expect(withStart(log, 105, 100)).toEqual([
      [10, 2],
      [105, 1],
    ]);
  });

  test("stays short, and never makes a start older than it is", () => {
    fc.assert(
      fc.property(gaps, rates, (steps, { periodMs }) => {
        let log: StartLog = [];
        const starts: number[] = [];
        let now = 0;
        for (const step of steps) {
          now += step;
          starts.push(now);
          log = withStart(log, now, periodMs);
        }
        expect(log.length).toBeLessThanOrEqual(100);
        const inLog = (since: number) =>
          log.filter(([at]) => at > since).reduce((sum, [, count]) => sum + count, 0);
        for (const since of [now - periodMs, now - periodMs / 2]) {
          const real = starts.filter((at) => at > since).length;
          expect(inLog(since)).toBeGreaterThanOrEqual(real);
        }
      }),
    );
  });
});

describe("a rate limit", () => {
  test("lets no more starts through than its limit in any period, and says when there is room", () => {
    fc.assert(
      fc.property(gaps, rates, (steps, rate) => {
        let state: RateState | undefined;
        const starts: number[] = [];
        let now = 0;
        for (const step of steps) {
          now += step;
          const verdict = rateLimited(state, rate, now);
          if (verdict.kind === "go") {
            starts.push(now);
            state = verdict.next;
          } else if (verdict.kind === "drop") {
            expect(verdict.until).toBeGreaterThan(now);
            expect(rateLimited(state, rate, verdict.until).kind).toBe("go");
          }
        }
        expect(most(starts, rate.periodMs)).toBeLessThanOrEqual(rate.limit);
        // As many as can be, as long as each start has an entry of its own.
        if (rate.limit <= 100)
          expect(starts.length).toBeGreaterThanOrEqual(Math.min(rate.limit, steps.length));
      }),
    );
  });
});

describe("a throttle", () => {
  const rate = { limit: 2, periodMs: 100 };

  /** Runs that come at these instants, each looked at again at its turn, `late` ms after it. */
  function starts(arrivals: readonly number[], { limit, periodMs }: typeof rate, late: number[]) {
    let state: ThrottleState | undefined;
    const due = arrivals.map((at) => ({ at, turn: undefined as number | undefined }));
    const started: number[] = [];
    for (let looks = 0; due.length > 0; looks++) {
      due.sort((a, b) => a.at - b.at);
      const run = due.shift();
      if (run === undefined || looks > 50 * arrivals.length) throw new Error("it starves");
      const verdict = throttled(state, { limit, periodMs }, run.at, run.turn);
      if (verdict.kind === "go") started.push(run.at);
      if (verdict.kind === "go" || verdict.kind === "wait") state = verdict.next;
      if (verdict.kind === "wait") {
        expect(verdict.until).toBeGreaterThan(run.at);
        due.push({ at: verdict.until + (late[looks % late.length] ?? 0), turn: verdict.until });
      }
    }
    return started;
  }

  test("delays what is too much, in the order of arrival", () => {
    expect(starts([0, 0, 0, 0, 0], rate, [0])).toEqual([0, 0, 100, 100, 200]);
    expect(starts([0, 50, 60, 240], rate, [0])).toEqual([0, 50, 100, 240]);
  });

  test("keeps its limit while all keep their turns, and starts everybody", () => {
    fc.assert(
      fc.property(gaps, rates, (steps, each) => {
        let now = 0;
        const arrivals = steps.map((step) => (now += step));
        const started = starts(arrivals, each, [0]);
        expect(started).toHaveLength(arrivals.length);
        expect(most(started, each.periodMs)).toBeLessThanOrEqual(each.limit);
      }),
    );
  });

  test("lets no crowd through after an outage: who is late waits for room", () => {
    fc.assert(
      fc.property(
        gaps,
        rates,
        fc.array(fc.integer({ min: 0, max: 9_000 }), { minLength: 1 }),
        (steps, each, late) => {
          let now = 0;
          const arrivals = steps.map((step) => (now += step));
          const started = starts(arrivals, each, late).sort((a, b) => a - b);
          expect(started).toHaveLength(arrivals.length);
          // Who is less than a tenth late counts as of its turn.
          expect(most(started, each.periodMs * 0.9)).toBeLessThanOrEqual(each.limit);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("counts a start that is up to a tenth of the period late as of its turn, a later one as it comes", () => {
    const one = { limit: 1, periodMs: 100 };
    const nextRoom = (startedAt: number) => {
      const first = throttled(undefined, one, 0, undefined) as never as { next: ThrottleState };
      const late = throttled(first.next, one, startedAt, 100) as never as { next: ThrottleState };
      return roomAt(late.next.starts, one.limit, one.periodMs, 0);
    };
    expect([100, 101, 110, 111, 150].map(nextRoom)).toEqual([200, 200, 200, 211, 250]);
  });

  test("gives no turn to a run that would not live to see it", () => {
    const one = { limit: 1, periodMs: 100 };
    const { next } = throttled(undefined, one, 0, undefined) as never as { next: ThrottleState };
    const late = throttled(next, one, 10, undefined, 50);
    expect(late).toEqual({ kind: "wait", until: 50, next });
    expect(throttled(next, one, 10, undefined, 500)).toMatchObject({ kind: "wait", until: 100 });
  });

  test("takes back the turn of a run that ended while it waited", () => {
    const turns: StartLog = [
      [100, 1],
      [200, 2],
    ];
    expect(withoutStart(turns, 100)).toEqual([[200, 2]]);
    expect(withoutStart(turns, 200)).toEqual([
      [100, 1],
      [200, 1],
    ]);
    expect(withoutStart(turns, 150)).toBe(turns);
  });

  test("takes a clock that is behind for that of the turn", () => {
    const { next } = throttled(undefined, { limit: 1, periodMs: 100 }, 0, undefined) as never as {
      next: ThrottleState;
    };
    expect(throttled(next, { limit: 1, periodMs: 100 }, 95, 100).kind).toBe("go");
  });
});

describe("debounce", () => {
  const times = { periodMs: 100, maxDelayMs: 250 };
  const first = { id: "a", createdAt: 0, hasWaited: false };

  function waiting(state: DebounceState | undefined, now: number, id: string): DebounceState {
    const verdict = debounced(state, times, now, { id, createdAt: now, hasWaited: false });
    if (verdict.kind !== "wait") throw new Error(verdict.kind);
    return verdict.next;
  }

  test("lets the last of several go on, and tells the others who took their place", () => {
    const a = waiting(undefined, 0, "a");
    expect(a).toMatchObject({ dueAt: 100, firstAt: 0 });
    const b = waiting(a, 60, "b");
    expect(b).toMatchObject({ runId: "b", dueAt: 160, firstAt: 0 });
    expect(debounced(b, times, 100, { id: "a", createdAt: 0, hasWaited: true })).toEqual({
      kind: "superseded",
      by: "b",
    });
    const done = debounced(b, times, 160, { id: "b", createdAt: 60, hasWaited: true });
    expect(done).toMatchObject({ kind: "go", next: { runId: "b", isStarted: true, until: 260 } });
  });

  test("waits no longer than its longest delay", () => {
    const c = waiting(waiting(waiting(undefined, 0, "a"), 90, "b"), 180, "c");
    expect(c.dueAt).toBe(250);
    expect(debounced(c, times, 250, { id: "d", createdAt: 250, hasWaited: false })).toMatchObject({
      kind: "go",
    });
    const endless = { ...times, maxDelayMs: Number.POSITIVE_INFINITY };
    expect(debounced(c, endless, 260, { ...first, createdAt: 255 })).toMatchObject({
      kind: "wait",
      until: 360,
    });
  });

  test("begins anew after a start, and after one that was cancelled while it waited", () => {
    const a = waiting(undefined, 0, "a");
    expect(isCollecting(a, times, 200)).toBe(true);
    expect(isCollecting(a, times, 201)).toBe(false);
    expect(waiting(a, 201, "b").firstAt).toBe(201);
    expect(isCollecting({ ...a, isStarted: true }, times, 50)).toBe(false);
  });

  test("counts the start that was created last, whichever is looked at first", () => {
    const b = waiting(undefined, 60, "b");
    expect(debounced(b, times, 70, first)).toEqual({ kind: "superseded", by: "b" });
    // A delayed one that becomes due later is a start of its own.
    const done = { ...b, isStarted: true };
    expect(debounced(done, times, 500, first)).toMatchObject({ kind: "wait", until: 600 });
  });

  test("does not let the last start give way to an earlier one that was looked at after an outage", () => {
    const b = waiting(undefined, 60, "b");
    const a = debounced(b, times, 900, first);
    if (a.kind !== "wait") throw new Error(a.kind);
    expect(a.next.runId).toBe("a");
    const last = debounced(a.next, times, 910, { id: "b", createdAt: 60, hasWaited: true });
    expect(last).toMatchObject({
      kind: "go",
      next: { runId: "b", createdAt: 60, isStarted: true },
    });
    if (last.kind !== "go") throw new Error(last.kind);
    const again = { ...first, hasWaited: true };
    expect(debounced(last.next, times, 1_000, again)).toEqual({ kind: "superseded", by: "b" });
  });

  test("lets a run go whose state has gone with a purge", () => {
    expect(
      debounced(undefined, times, 5, { id: "a", createdAt: 0, hasWaited: true }),
    ).toMatchObject({
      kind: "go",
    });
  });
});

describe("the options of flow control", () => {
  test("are read in milliseconds", () => {
    expect(rateOf({ limit: 3, period: "1m" })).toEqual({ limit: 3, periodMs: 60_000 });
    expect(timesOf({ period: 2 })).toEqual({
      periodMs: 2_000,
      maxDelayMs: Number.POSITIVE_INFINITY,
    });
    expect(timesOf({ period: 2, maxDelay: "5s" }).maxDelayMs).toBe(5_000);
    expect([hasFlow({}), hasFlow({ singleton: { mode: "skip" } })]).toEqual([false, true]);
  });

  test("are checked where the job is defined", () => {
    const ok = {
      debounce: { period: 1, maxDelay: 2, key: () => "" },
      rateLimit: { limit: 1, period: 1 },
      throttle: { limit: 1, period: "1s", key: () => "" },
      singleton: { mode: "join" },
    };
    expect(() => checkFlow(ok, 'Job "j"')).not.toThrow();
    const wrong: [object, string][] = [
      [{ debounce: 5 }, "OPTION_INVALID"],
      [{ debounce: null }, "OPTION_INVALID"],
      [{ debounce: { period: 0 } }, "OPTION_INVALID"],
      [{ debounce: { period: 1, maxDelay: 0 } }, "OPTION_INVALID"],
      [{ debounce: { period: 1, limit: 1 } }, "OPTION_UNKNOWN"],
      [{ debounce: { period: 1, key: "id" } }, "OPTION_INVALID"],
      [{ rateLimit: { period: 1 } }, "OPTION_INVALID"],
      [{ rateLimit: { limit: 0, period: 1 } }, "OPTION_INVALID"],
      [{ throttle: { limit: 1.5, period: 1 } }, "OPTION_INVALID"],
      [{ throttle: { limit: 1 } }, "OPTION_INVALID"],
      [{ singleton: {} }, "OPTION_INVALID"],
      [{ singleton: { mode: "queue" } }, "OPTION_INVALID"],
    ];
    for (const [options, code] of wrong)
      expect([options, thrownCode(() => checkFlow(options, 'Job "j"'))]).toEqual([options, code]);
  });
});
