import { newId } from "../../src/engine/ids.js";
import { Random } from "./random.js";
import type { Schedule } from "./schedule.js";

/** SQLite looks for the writes of others every 10 ms; here rarer, or nothing else would happen. */
const SHORTEST_INTERVAL_MS = 400;

interface Handle {
  disarm: () => void;
  unref(): Handle;
  refresh(): Handle;
}

/**
 * Puts the clock, the timers and the randomness of this process into the hands
 * of one simulation, so that a seed replays exactly. The process does nothing
 * else. Answers a function that gives them back.
 */
export function takeGlobals(schedule: Schedule, seed: number): () => void {
  const kept = {
    setImmediate: globalThis.setImmediate,
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    random: Math.random,
    dateNow: Date.now,
    performanceNow: performance.now,
    error: console.error,
  };
  const random = new Random(seed, "ids");
  let asked = 0;
  replace(globalThis, {
    setImmediate: (callback: () => void) => schedule.immediate(callback),
    setTimeout: (callback: () => void, delayMs = 0) =>
      handleOf(() => schedule.timer(delayMs, undefined, callback)),
    setInterval: (callback: () => void, delayMs = 0) => interval(schedule, callback, delayMs),
    clearTimeout: disarm,
    clearInterval: disarm,
  });
  replace(Math, { random: () => random.next() });
  replace(Date, { now: () => Math.floor(schedule.now) });
  replace(performance, { now: () => schedule.now });
  replace(console, { error: () => {} });
  replace(crypto, {
    getRandomValues: (array: Uint8Array | Uint32Array) => {
      asked++;
      return fill(array, random);
    },
    randomUUID: () => `uuid-${random.next()}`,
  });
  // Ids are cut from a pool of random bytes: use up what an earlier seed left there.
  while (asked === 0) newId(0);
  return () => {
    const { random: mathRandom, dateNow, performanceNow, error, ...timers } = kept;
    replace(globalThis, timers);
    replace(Math, { random: mathRandom });
    replace(Date, { now: dateNow });
    replace(performance, { now: performanceNow });
    replace(console, { error });
  };
}

function replace(target: object, members: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(members)) {
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
  }
}

function fill<T extends Uint8Array | Uint32Array>(array: T, random: Random): T {
  const size = array instanceof Uint8Array ? 256 : 4_294_967_296;
  for (let index = 0; index < array.length; index++) array[index] = random.int(size);
  return array;
}

function handleOf(arm: () => () => void): Handle {
  const handle: Handle = {
    disarm: arm(),
    unref: () => handle,
    refresh: () => {
      handle.disarm();
      handle.disarm = arm();
      return handle;
    },
  };
  return handle;
}

function disarm(handle: Handle | undefined): void {
  handle?.disarm();
}

function interval(schedule: Schedule, callback: () => void, delayMs: number): Handle {
  const period = Math.max(SHORTEST_INTERVAL_MS, delayMs);
  const arm = () => schedule.timer(period, undefined, again);
  const again = () => {
    handle.disarm = arm();
    callback();
  };
  const handle = handleOf(arm);
  return handle;
}
