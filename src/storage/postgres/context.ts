import type { Clock } from "../../core/clock.js";
import type { Driver, Session } from "./driver.js";

/** What all parts of one adapter share. */
export class Context {
  readonly driver: Driver;
  /** Quoted. */
  readonly schema: string;
  readonly #name: string;
  readonly #clock: Pick<Clock, "now"> | undefined;

  /** @param clock for tests; otherwise the server's */
  constructor(driver: Driver, schema: string, clock: Pick<Clock, "now"> | undefined) {
    this.driver = driver;
    this.#name = schema;
    this.schema = `"${schema}"`;
    this.#clock = clock;
  }

  /** The same schema through something else. */
  on(driver: Driver): Context {
    return new Context(driver, this.#name, this.#clock);
  }

  async now(session: Session = this.driver): Promise<number> {
    if (this.#clock !== undefined) return this.#clock.now();
    const [row] = await session.query(
      "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint::text",
    );
    return Number(row?.[0]);
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
