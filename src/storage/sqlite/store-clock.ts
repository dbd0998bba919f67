import type { Clock } from "../../core/clock.js";
import type { Database } from "./database.js";
import { firstNumber } from "./text.js";

/**
 * The file's clock (contract E13): the wall clock, but never earlier than the
 * mark in the file plus the time since this process read it. So a process whose
 * wall clock is behind does not see the leases of the others as longer than
 * they are, and a wall clock that is set back does not make time stand still.
 */
export class StoreClock {
  readonly #clock: Clock;
  readonly #database: Database;
  #floor = 0;
  #floorReadAt = 0;
  #last = 0;

  constructor(clock: Clock, database: Database) {
    this.#clock = clock;
    this.#database = database;
  }

  now(): number {
    this.#raiseFloor(
      firstNumber(this.#database.get("select value from pawl_meta where key = 'clock'")) ?? 0,
    );
    const sinceFloor = Math.floor(this.#clock.monotonic() - this.#floorReadAt);
    this.#last = Math.max(this.#last, this.#clock.now(), this.#floor + sinceFloor);
    return this.#last;
  }

  /** Written with claims and leases only: a task commit must not touch a row that all processes share. */
  mark(now: number): void {
    this.#database.run("update pawl_meta set value = ? where key = 'clock' and value < ?", [
      now,
      now,
    ]);
    this.#raiseFloor(now);
  }

  #raiseFloor(mark: number): void {
    const monotonic = this.#clock.monotonic();
    if (mark <= this.#floor + (monotonic - this.#floorReadAt)) return;
    this.#floor = mark;
    this.#floorReadAt = monotonic;
  }
}
