import { z } from "zod";
import type { FakeClock } from "../../src/testing/fake-clock.js";
import { turns } from "./drive.js";

/** Turns the event loop until it is so; a guard against hanging, not a measure of time. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let count = 0; count < 20_000; count++) {
    if (await condition()) return;
    await turns(1);
  }
  throw new Error("The condition never came true.");
}

/**
 * Lets time pass until the promise settles: from one armed timer to the next, and only once nothing
 * else goes on. So what is tested does not depend on how fast the machine is.
 */
export async function passingTime<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  promise.then(over, over);
  const others = new Others(clock);
  for (let steps = 0; steps < 20_000; steps++) {
    await others.quiet();
    if (isOver) break;
    const next = clock.untilNextTimerMs;
    if (next !== undefined) clock.advance({ milliseconds: next });
  }
  return promise;
}

/** Turns in a row without work: chains of promises take a few, and ask for nothing that could be seen meanwhile. */
const QUIET_TURNS = 5;
const LONGEST_TURNS = 20_000;

/** Calls that something outside of this process has not answered, by the clock that stands still meanwhile. */
const openCalls = new WeakMap<FakeClock, number>();

export function countWhile(clock: FakeClock, call: Promise<unknown>): void {
  const add = (count: number) => openCalls.set(clock, (openCalls.get(clock) ?? 0) + count);
  add(1);
  const answered = () => void add(-1);
  call.then(answered, answered);
}

/** What goes on beside the clock: immediates, files, real timers, and a server that is asked something. */
class Others {
  readonly #clock: FakeClock;
  /** So many are not waited for: timers of the test's own, and what stays open for good. */
  #open = realTimers();
  #isCrowded = false;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  async quiet(): Promise<void> {
    let turn = 0;
    for (let row = 0; turn < LONGEST_TURNS && row < QUIET_TURNS; turn++) {
      await turns(1);
      row = this.#areBusy() ? 0 : row + 1;
    }
    if (turn < LONGEST_TURNS) return;
    // Timers of a pool, or another loop such as this: whoever never ends is not waited for again.
    this.#open = this.#count();
    this.#isCrowded = true;
  }

  #areBusy(): boolean {
    if (this.#count() > this.#open) return true;
    const isBusy = (name: string) => /^(Immediate|FSReq)/.test(name);
    return !this.#isCrowded && process.getActiveResourcesInfo().some(isBusy);
  }

  #count(): number {
    return realTimers() + (openCalls.get(this.#clock) ?? 0);
  }
}

function realTimers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
}

/** The code that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
  return "no error";
}

/** The code that a call throws with. */
export function thrownCode(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
  return "no error";
}

export const numbered = z.object({ n: z.number() });
