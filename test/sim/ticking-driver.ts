import { isFinal } from "../../src/core/run-status.js";
import { SCHEDULE_JOB, scheduleName } from "../../src/engine/schedule-state.js";
import { isPaused } from "./monitor.js";
import type { Outside } from "./outside.js";
import { DYNAMIC, DYNAMIC_SECONDS, TICKS } from "./ticking.js";

/** How long schedules tick: they make many runs. */
const SHORTEST_MS = 15_000;
const LONGEST_MS = 40_000;
/** After bad weather: until all is as if it had never been, and then some ticks. */
const RECOVERY_MS = 40_000;
const TICKING_MS = 60_000;

/** Somebody registers, pauses and resumes schedules, and in the end lets them rest. */
export class TickingDriver {
  readonly #outside: Outside;
  /** Keys whose schedules were ended from outside. */
  readonly unregistered = new Set<string>();

  constructor(outside: Outside) {
    this.#outside = outside;
  }

  plan(): void {
    const { random, later } = this.#outside;
    const soon = () => random.int(SHORTEST_MS);
    for (let count = random.between(1, 3); count > 0; count--)
      later(soon(), () => this.#register());
    if (random.chance(0.3)) {
      later(soon(), () => this.#pause());
      later(soon() * 2, () => this.#resume());
    }
    const goesOn = random.chance(0.2);
    later(random.between(SHORTEST_MS, LONGEST_MS), () => this.#rest(goesOn));
  }

  /** The same each time: only the first changes anything. */
  #register(): Promise<void> {
    return this.#outside.ask("register", async (_client, { dynamic }) => {
      await dynamic?.register("outside", { seconds: DYNAMIC_SECONDS, catchUp: "all" });
    });
  }

  #pause(): Promise<void> {
    return this.#outside.ask("pause", (client) => client.pauseSchedule(TICKS));
  }

  #resume(): Promise<void> {
    return this.#outside.ask("resume", (client) => client.resumeSchedule(TICKS));
  }

  /** Runs may register schedules after this, so it looks again until all is over. */
  async #rest(goesOn: boolean): Promise<void> {
    const { world, pause, isAlone } = this.#outside;
    if (goesOn) await this.#tickWhenCalm();
    for (;;) {
      await this.#endAll();
      if (isAlone() && world.monitor.open.size === 0) return;
      await pause(10_000);
    }
  }

  async #tickWhenCalm(): Promise<void> {
    const { world, pause } = this.#outside;
    await this.#endAll();
    while (world.faults.isOn) await pause(5_000);
    await pause(RECOVERY_MS);
    await this.#resume();
    await pause(TICKING_MS);
  }

  async #endAll(): Promise<void> {
    for (const run of [...this.#outside.world.view.runs()]) {
      if (run.jobId !== SCHEDULE_JOB || isFinal(run.status) || isPaused(run)) continue;
      const name = scheduleName(run);
      if (name === TICKS) await this.#pause();
      else await this.#unregister(name.slice(DYNAMIC.length + 1));
    }
  }

  #unregister(key: string): Promise<void> {
    this.unregistered.add(key);
    return this.#outside.ask("unregister", async (_client, { dynamic }) => {
      await dynamic?.unregister(key);
    });
  }
}
