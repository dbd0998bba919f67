import { z } from "zod";
import type { FakeClock } from "../../src/testing/fake-clock.js";
import { isQuiet, quiet } from "./under-way.js";

/** A guard against hanging, not a measure of time. */
const PATIENCE = { turns: 20_000, ms: 5_000 };

/** Turns the event loop until it is so, and no storage is at work. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const begin = performance.now();
  const isPatient = () => performance.now() - begin < PATIENCE.ms;
  for (let turn = 0; turn < PATIENCE.turns || isPatient(); turn++) {
    if (isQuiet() && (await condition()) && isQuiet()) return;
    await quiet();
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
  const others = new Others();
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

/** What goes on beside the clock: immediates, files, real timers, and a store that is asked something. */
class Others {
  /** So many are not waited for: timers of the test's own, and what stays open for good. */
  #open = realTimers();
  #isCrowded = false;

  async quiet(): Promise<void> {
    let turn = 0;
    for (let row = 0; turn < LONGEST_TURNS && row < QUIET_TURNS; turn++) {
      await quiet();
      row = this.#areBusy() ? 0 : row + 1;
    }
    if (turn < LONGEST_TURNS) return;
    // Timers of a pool, or another loop such as this: whoever never ends is not waited for again.
    this.#open = realTimers();
    this.#isCrowded = true;
  }

  #areBusy(): boolean {
    if (realTimers() > this.#open || !isQuiet()) return true;
    const isBusy = (name: string) => /^(Immediate|FSReq)/.test(name);
    return !this.#isCrowded && process.getActiveResourcesInfo().some(isBusy);
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
