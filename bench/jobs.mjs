// What every system executes, in words that all of them can follow: step(key, fn) and sleep(key, ms).
import { Finishes, now, TEXT } from "./measure.mjs";

export const finishes = new Finishes();
/** First lines reached, by run: [time, …]. */
export const entries = new Map();
/** Marks inside the body, by run. */
export const marks = new Map();
export const lags = [];

function enter(id) {
  const times = entries.get(id) ?? [];
  times.push(now());
  entries.set(id, times);
  return times.length;
}

export const bodies = {
  /** n tasks of about 100 bytes, one after the other. */
  async seq({ step }, { id, n }) {
    enter(id);
    for (let i = 0; i < n; i++) await step(`s${i}`, async () => ({ i, text: TEXT }));
    finishes.add();
  },
  /** n tasks at once. */
  async fan({ step }, { id, n }) {
    enter(id);
    const started = now();
    await Promise.all(
      Array.from({ length: n }, (_, i) => step(`s${i}`, async () => ({ i, text: TEXT }))),
    );
    marks.set(id, now() - started);
    finishes.add();
  },
  /** n tasks, a durable wait, and the end: the second execution replays the tasks. */
  async replay({ step, sleep }, { id, n, ms }) {
    const execution = enter(id);
    const times = [now()];
    for (let i = 0; i < n; i++) {
      await step(`s${i}`, async () => ({ i, text: TEXT }));
      if ((i + 1) % 1000 === 0) times.push(now());
    }
    if (execution === 1) marks.set(id, { times, parkedAt: Date.now() });
    await sleep("wait", ms);
    marks.get(id).endedAt = Date.now();
    finishes.add();
  },
  /** Waits until an instant. */
  async sleeper({ sleep }, { id, until }) {
    enter(id);
    await sleep("wait", Math.max(1, until - Date.now()));
    lags.push(Date.now() - until);
    finishes.add();
  },
};
