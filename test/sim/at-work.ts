import type { Storage } from "../../src/core/storage.js";

const realImmediate = globalThis.setImmediate;

/**
 * Storages behind a socket take real time. While one of them is at work nothing else happens in a simulation, so that
 * the order of what happens is that of the seed and not that of the sockets.
 */
export class AtWork {
  readonly #settled: (() => Promise<void>) | undefined;
  #calls = 0;
  #wasAtWork = false;
  #answered = Promise.resolve();
  #allAnswered = () => {};

  /** @param settled until what the store tells by itself was heard */
  constructor(settled: (() => Promise<void>) | undefined) {
    this.#settled = settled;
  }

  counted(storage: Storage): Storage {
    if (this.#settled === undefined) return storage;
    return new Proxy(storage, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => this.during(() => Reflect.apply(member, target, args));
      },
    });
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#wasAtWork = true;
    if (this.#calls++ === 0) {
      this.#answered = new Promise((resolve) => {
        this.#allAnswered = resolve;
      });
    }
    try {
      return await work();
    } finally {
      if (--this.#calls === 0) this.#allAnswered();
    }
  }

  async rest(): Promise<void> {
    while (this.#wasAtWork) {
      while (this.#calls > 0) {
        await this.#answered;
        // Who got an answer may ask for more.
        await new Promise<void>((resolve) => realImmediate(resolve));
      }
      this.#wasAtWork = false;
      await this.#settled?.();
    }
  }
}
