import { assertCopied, COPY_MARK } from "../core/copy-mark.js";
import { ConfigError } from "../core/errors.js";
import { maxDurationMsOf } from "./admission.js";
import type { Engine } from "./engine.js";
import { registrationOf } from "./registry.js";
import { registerSchedules } from "./schedules.js";

/** Opens the storage and makes the jobs known, before the first call that needs it. */
export class Readiness {
  readonly #engine: Engine;
  readonly #onOpen: () => void;
  #opening: Promise<void> | undefined;
  #registering: Promise<void> = Promise.resolve();
  #isReady = false;
  #jobChanges = 0;
  #stopped = false;

  constructor(engine: Engine, onOpen: () => void) {
    this.#engine = engine;
    this.#onOpen = onOpen;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** undefined if there is nothing to wait for: the way of every call but the first. */
  ensure(): Promise<void> | undefined {
    this.#assertNotStopped();
    return this.#isReady ? undefined : this.#prepare();
  }

  #assertNotStopped(): void {
    if (!this.#stopped) return;
    throw new ConfigError(
      "CLIENT_STOPPED",
      "This client was stopped. Create a new one with createClient.",
    );
  }

  /** Jobs were added. */
  jobsChanged(): void {
    this.#isReady = false;
    this.#jobChanges++;
  }

  async #prepare(): Promise<void> {
    this.#opening ??= this.#open();
    try {
      await this.#opening;
    } catch (error) {
      // The next call tries again: the path may be there by then.
      this.#opening = undefined;
      throw error;
    }
    const changes = this.#jobChanges;
    await this.#register();
    // A job that was added meanwhile has yet to be registered.
    this.#isReady = changes === this.#jobChanges;
    this.#assertNotStopped();
  }

  async #open(): Promise<void> {
    const { rawStorage, clock, storeClock } = this.#engine;
    await rawStorage.init({ clock });
    // Only such a store can be the target of a copy.
    if (rawStorage.importRuns !== undefined)
      assertCopied(rawStorage.name, await rawStorage.getValue(COPY_MARK));
    storeClock.observe(await rawStorage.now());
    this.#onOpen();
  }

  /** One after the other: a later registration has all jobs of an earlier one. */
  #register(): Promise<void> {
    const { jobs, registry } = this.#engine;
    if (!jobs.takeChanged()) return this.#registering;
    const all = jobs.all();
    const registrations = all.map((job) => registrationOf(job, maxDurationMsOf(job)));
    const registering = this.#registering
      .catch(() => {})
      .then(() => registry.register(registrations))
      .then(() => registerSchedules(this.#engine, all))
      .catch((error) => {
        jobs.registrationFailed();
        throw error;
      });
    registering.catch(() => {});
    this.#registering = registering;
    return registering;
  }
}
