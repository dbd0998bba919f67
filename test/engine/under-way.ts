import type { Storage } from "../../src/index.js";

/** Calls of counted storages that have not been answered. */
let calls = 0;
let listeners: (() => void)[] = [];

export function isQuiet(): boolean {
  return calls === 0;
}

/** The end of a turn of the event loop, from now on the first, in which no call is under way. */
export async function quiet(): Promise<void> {
  for (;;) {
    // Who got an answer may ask for more.
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (isQuiet()) return;
    await new Promise<void>((resolve) => listeners.push(resolve));
  }
}

/**
 * The same storage, of which `turns`, `until` and `passingTime` know when it is at work. What a test puts in the place of
 * a method is not counted: it may wait for `turns`. After its end a storage answers nothing any more: a process that a
 * test has left behind must not go on in the next one.
 */
export function counted(storage: Storage, hasEnded: () => boolean): Storage {
  const own = new Map<PropertyKey, unknown>();
  return new Proxy(storage, {
    get(target, name) {
      if (own.has(name)) return own.get(name);
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      const call = (...args: unknown[]): unknown =>
        hasEnded() ? new Promise(() => {}) : count(value.apply(target, args));
      own.set(name, call);
      return call;
    },
    set(_target, name, value) {
      own.set(name, value);
      return true;
    },
  });
}

function count(answer: unknown): unknown {
  if (!(answer instanceof Promise)) return answer;
  calls++;
  const onAnswer = () => {
    calls--;
    const heard = listeners;
    listeners = [];
    for (const listener of heard) listener();
  };
  answer.then(onAnswer, onAnswer);
  return answer;
}
