import type { Driver, Session } from "./driver.js";
import type { ServerClock } from "./server-clock.js";

/** What all parts of one adapter share. */
export class Context {
  readonly driver: Driver;
  /** Quoted. */
  readonly schema: string;
  readonly clock: ServerClock;

  constructor(driver: Driver, schema: string, clock: ServerClock) {
    this.driver = driver;
    this.schema = `"${schema}"`;
    this.clock = clock;
  }

  /**
   * Held to the end of the transaction. Taken before rows are locked, and rows
   * are never waited for, so nobody waits for somebody who waits.
   */
  async lock(
    session: Session,
    names: readonly string[],
    mode: "shared" | "exclusive" = "exclusive",
  ): Promise<void> {
    const lock = mode === "shared" ? "pg_advisory_xact_lock_shared" : "pg_advisory_xact_lock";
    // One after the other in one order.
    for (const name of [...new Set(names)].sort()) {
      await session.query(`select ${lock}(hashtextextended($1, 0))::text`, [
        `pawl ${this.schema} ${name}`,
      ]);
    }
  }
}

/** Somebody else was faster: what was decided no longer holds. */
export class Overtaken extends Error {
  override readonly name = "Overtaken";
}
