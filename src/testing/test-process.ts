import type { Clock } from "../core/clock.js";
import type { Storage } from "../core/storage.js";
import { Client } from "../engine/client.js";
import type { ClientOptions } from "../engine/client-options.js";
import { DueInstants } from "./due-instants.js";
import { ProcessClock } from "./process-clock.js";
import { type CrashPlan, withCrash } from "./with-crash.js";

/** One client with what it would lose if its process were killed. */
export class TestProcess {
  readonly client: Client;
  readonly due = new DueInstants();
  readonly #clock: ProcessClock;
  readonly #death: Promise<void>;
  #die = () => {};
  #dead = false;

  constructor(clock: Clock, storage: Storage, options: ClientOptions, crash: CrashPlan) {
    this.#clock = new ProcessClock(clock);
    this.#death = new Promise((resolve) => {
      this.#die = resolve;
    });
    // Killed from outside, too, the storage never answers again.
    const mortal = withCrash(
      storage,
      (writes) => (this.#dead ? "before" : crash(writes)),
      () => this.kill(),
    );
    const watched = this.due.watch(mortal);
    this.client = new Client({ ...options, storage: watched, clock: this.#clock }, watched);
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** Until nothing is due in this process, or it is dead. */
  async drain(): Promise<void> {
    if (this.#dead) return;
    await Promise.race([this.client.drain(), this.#death]);
  }

  kill(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#clock.kill();
    // Takes the jobs' `invoke` away from the dead client; what else it awaits never comes.
    void this.client.stop({ timeout: 0 });
    this.#die();
  }

  async stop(): Promise<void> {
    if (!this.#dead) await this.client.stop({ timeout: 0 });
  }
}
