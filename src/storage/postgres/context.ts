import type { Driver, Session, Transaction } from "./driver.js";
import type { Hints } from "./hints.js";
import type { ServerClock } from "./server-clock.js";

/** What all parts of one adapter share. */
export class Context {
  readonly driver: Driver;
  /** Quoted. */
  readonly schema: string;
  readonly clock: ServerClock;
  /** Undefined if nobody is told. */
  readonly hints: Hints | undefined;

  constructor(parts: {
    readonly driver: Driver;
    readonly schema: string;
    readonly clock: ServerClock;
    readonly hints: Hints | undefined;
  }) {
    this.driver = parts.driver;
    this.schema = `"${parts.schema}"`;
    this.clock = parts.clock;
    this.hints = parts.hints;
  }

  /** With the commit, one for all that it made due. */
  tell(session: Transaction, dueAt: number | undefined): void {
    if (this.hints === undefined || dueAt === undefined) return;
    // Neither has a quote in it.
    session.withCommit(`notify "${this.hints.channel}", '${this.hints.payload(dueAt)}'`);
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
