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

/** Lets time pass in small steps until the promise settles. */
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
    await turns(1);
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
