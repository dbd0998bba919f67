import type { Clock } from "../../src/core/clock.js";
import type { Client, DynamicSchedule } from "../../src/index.js";
import type { Owner, Schedule } from "./schedule.js";

/** Wall time at the start of each simulation. */
export const EPOCH = Date.UTC(2026, 0, 1);

/** One process: it may die, freeze and go on, and its wall clock may be wrong. */
export class Machine implements Owner {
  readonly index: number;
  readonly clock: Clock;
  readonly #schedule: Schedule;
  isDead = false;
  isPaused = false;
  /** Wall-clock instants at which it may have lost its leases without knowing. */
  readonly disturbedAt: number[] = [];
  /** What was on the wire longest, in milliseconds: so much may its idea of the store's time lag. */
  longestAnswer = 0;
  /** The client's worker, as its claims name it. */
  workerId: string | undefined;
  client: Client | undefined;
  /** Undefined: this simulation has no schedules. */
  dynamic: DynamicSchedule | undefined;
  readonly #onDeath: () => void;

  constructor(index: number, schedule: Schedule, skewMs: number, onDeath: () => void) {
    this.index = index;
    this.#schedule = schedule;
    this.#onDeath = onDeath;
    this.clock = {
      now: () => Math.floor(EPOCH + schedule.now + skewMs),
      monotonic: () => schedule.now + index * 1_000_000,
      setTimer: (delayMs, callback) => schedule.timer(delayMs, this, callback),
    };
  }

  /** For people who read the log. */
  note(text: string): void {
    this.#schedule.note(`machine ${this.index} ${text}`);
  }

  /** It executes nothing at the moment. */
  get isDown(): boolean {
    return this.isDead || this.isPaused;
  }

  crash(): void {
    if (this.isDead) return;
    this.#schedule.note(`machine ${this.index} dies`);
    this.disturb();
    this.isDead = true;
    this.#onDeath();
  }

  /** As SIGSTOP and SIGCONT do. */
  pause(ms: number): void {
    if (this.isDown) return;
    this.#schedule.note(`machine ${this.index} freezes for ${ms}`);
    this.disturb();
    this.isPaused = true;
    this.longestAnswer = Math.max(this.longestAnswer, ms);
    this.#schedule.timer(ms, undefined, () => this.resume());
  }

  resume(): void {
    if (!this.isPaused) return;
    this.#schedule.note(`machine ${this.index} goes on`);
    this.isPaused = false;
    this.disturb();
  }

  disturb(): void {
    this.disturbedAt.push(EPOCH + this.#schedule.now);
  }

  /** User code that takes time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#schedule.timer(ms, this, resolve));
  }

  /** User code that awaits something that takes no time. */
  turn(label: string): Promise<void> {
    return new Promise((resolve) => this.#schedule.post(label, this, resolve));
  }
}
