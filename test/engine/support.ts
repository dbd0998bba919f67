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

/** Lets time pass in small steps until the promise settles: none of it while a storage is at work. */
export async function passingTime<T>(
  clock: FakeClock,
  promise: Promise<T>,
  stepMs = 100,
): Promise<T> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  promise.then(over, over);
  for (let steps = 0; steps < 20_000 && !isOver; steps++) {
    await quiet();
    if (!isOver) clock.advance(stepMs / 1000);
  }
  return promise;
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
