import type { RunWrite } from "../core/storage.js";
import type { Engine } from "./engine.js";

/** The right to advance one run, as its holder sees it on the local monotonic clock. */
export class Lease {
  readonly #engine: Engine;
  /** When the request that gave or extended it was sent: the store counts from later. */
  #since: number;

  constructor(engine: Engine, since: number) {
    this.#engine = engine;
    this.#since = since;
  }

  claimed(since: number): void {
    this.#since = since;
  }

  extended(sentAt: number): void {
    this.#since = sentAt;
  }

  /** A third of it has passed: the next commit carries an extension (S12). */
  get wantsExtension(): boolean {
    return this.#engine.clock.monotonic() - this.#since >= this.#engine.leaseMs / 3;
  }

  /** It has run out as far as we can tell; nobody need have taken the run. */
  get hasLapsed(): boolean {
    return this.#engine.clock.monotonic() - this.#since >= this.#engine.leaseMs;
  }

  extend(write: RunWrite): RunWrite {
    return { ...write, leaseUntil: this.#engine.storeClock.now() + this.#engine.leaseMs };
  }
}
