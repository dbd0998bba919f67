import { z } from "zod";
import type { AnyJob, Client, ClientOptions, Storage } from "../../src/index.js";
import { createClient } from "../../src/index.js";
import type { FakeClock } from "../../src/testing/fake-clock.js";
import type { World } from "./world.js";

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Turns the event loop until it is so; a guard against hanging, not a measure of time. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; turns < 20_000; turns++) {
    if (await condition()) return;
    await turn();
  }
  throw new Error("The condition never came true.");
}

/** Enough turns for everything that needs no time to be over. */
export async function settled(turns = 50): Promise<void> {
  for (let count = 0; count < turns; count++) await turn();
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
    await turn();
    if (!isOver) clock.advance(stepMs / 1000);
  }
  return promise;
}

/** A door that a test opens. */
export class Gate {
  readonly opened: Promise<void>;
  open: () => void = () => {};

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}

/** A storage whose process dies at a chosen moment: from then on no call is answered. */
export function mortal(storage: Storage): { storage: Storage; die(): void } {
  let isDead = false;
  return {
    die: () => {
      isDead = true;
    },
    storage: new Proxy(storage, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return async (...args: unknown[]) => {
          if (isDead) return new Promise(() => {});
          const answer: unknown = await Reflect.apply(member, target, args);
          return isDead ? new Promise(() => {}) : answer;
        };
      },
    }),
  };
}

/** A client of a process that will die: nobody stops it in the end. */
export function doomedClient(
  world: World,
  options: Omit<ClientOptions, "clock" | "storage"> & { jobs?: readonly AnyJob[] } = {},
): { client: Client; die(): void } {
  const { storage, die } = mortal(world.storage());
  const client = createClient({
    storage,
    clock: world.clock,
    onError: (error) => world.troubles.push(error),
    ...options,
  });
  return { client, die };
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
