import type { Clock } from "../../core/clock.js";
import type { Parameter, Queries } from "./driver.js";

const READING = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint";
/** Longer than this nothing is built on one reading. */
const LASTS_MS = 10_000;

/** The clock of the store is the server's (contract E13). */
export class ServerClock {
  readonly #clock: Pick<Clock, "now"> | undefined;
  #read = 0;
  #readAt = Number.NEGATIVE_INFINITY;

  /** @param clock for tests; otherwise the server's */
  constructor(clock: Pick<Clock, "now"> | undefined) {
    this.#clock = clock;
  }

  /** For statements that read the clock themselves: an expression, and the parameter that it has. */
  reading(parameter: string): string {
    return `coalesce(${parameter}::bigint, ${READING})`;
  }

  get given(): Parameter {
    return this.#clock === undefined ? null : String(this.#clock.now());
  }

  /** An instant that a statement has answered just now. */
  observe(instant: number): void {
    this.#read = instant;
    this.#readAt = performance.now();
  }

  async now(session: Queries): Promise<number> {
    if (this.#clock !== undefined) return this.#clock.now();
    const [row] = await session.query(`select ${READING}::text`);
    this.observe(Number(row?.[0]));
    return this.#read;
  }

  /**
   * Never later than the server's instant, and seldom a message of its own: the last reading, plus the time since its
   * answer arrived. For what is written down. Who asks whether a slot is free asks `now`.
   */
  async atLeast(session: Queries): Promise<number> {
    if (this.#clock !== undefined) return this.#clock.now();
    const since = performance.now() - this.#readAt;
    return since < LASTS_MS ? this.#read + Math.floor(since) : this.now(session);
  }
}
