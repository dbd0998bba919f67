import type { Engine } from "./engine.js";

/** No task starts after this part of the limit. */
const LAST_START = 0.8;
/** At this part of the limit the execution is left even if a task runs. */
const LAST_MOMENT = 0.95;

/** Keeps an execution within `executionLimitMs`, as a serverless host demands. */
export class ExecutionLimit {
  readonly #engine: Engine;
  readonly #leaveNow: () => void;
  #startedAt = 0;
  #longestTaskMs = 0;
  #disarm: (() => void) | undefined;

  constructor(engine: Engine, leaveNow: () => void) {
    this.#engine = engine;
    this.#leaveNow = leaveNow;
  }

  start(): void {
    const limitMs = this.#engine.executionLimitMs;
    if (limitMs === undefined) return;
    this.#startedAt = this.#engine.clock.monotonic();
    this.#longestTaskMs = 0;
    this.#disarm = this.#engine.clock.setTimer(limitMs * LAST_MOMENT, this.#leaveNow);
  }

  stop(): void {
    this.#disarm?.();
    this.#disarm = undefined;
  }

  /** To be handed to {@link taskTook} when the task that starts now has ended. */
  mark(): number {
    return this.#engine.executionLimitMs === undefined ? 0 : this.#engine.clock.monotonic();
  }

  taskTook(since: number): void {
    if (this.#engine.executionLimitMs === undefined) return;
    const ms = this.#engine.clock.monotonic() - since;
    this.#longestTaskMs = Math.max(this.#longestTaskMs, ms);
  }

  /** A task started now would probably not end in time. The first of an execution always starts. */
  get isNear(): boolean {
    const limitMs = this.#engine.executionLimitMs;
    if (limitMs === undefined) return false;
    const elapsed = this.#engine.clock.monotonic() - this.#startedAt;
    return elapsed >= limitMs * LAST_START || elapsed + this.#longestTaskMs > limitMs * LAST_MOMENT;
  }
}
