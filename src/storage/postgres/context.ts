import type { CommitResult, RunRecord, RunWrite } from "../../core/storage.js";
import { ClaimsAtOnce } from "./claims-at-once.js";
import type { Driver, Session, Transaction } from "./driver.js";
import { HeldRuns } from "./held-runs.js";
import type { Hints } from "./hints.js";
import { PathsOfRun, RecordedPaths } from "./recorded-paths.js";
import type { ServerClock } from "./server-clock.js";

interface Parts {
  readonly driver: Driver;
  readonly schema: string;
  readonly clock: ServerClock;
  readonly hints: Hints | undefined;
  /** Also itself. */
  readonly tellsAll?: boolean;
}

/** What all parts of one adapter share. */
export class Context {
  readonly driver: Driver;
  /** Quoted. */
  readonly schema: string;
  readonly clock: ServerClock;
  readonly held = new HeldRuns();
  readonly paths = new RecordedPaths();
  readonly claimsAtOnce = new ClaimsAtOnce();
  /** Undefined if nobody is told. */
  readonly hints: Hints | undefined;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.driver = parts.driver;
    this.schema = `"${parts.schema}"`;
    this.clock = parts.clock;
    this.hints = parts.hints;
  }

  /** The same schema in a transaction of the application's: when that commits nobody knows, this process neither. */
  within(driver: Driver): Context {
    return new Context({ ...this.#parts, driver, tellsAll: true });
  }

  learnNew(run: RunRecord): void {
    this.held.learn(run.id, run);
    if (run.leaseUntil !== null) this.paths.learn(run.id, run.epoch, new PathsOfRun());
  }

  learnFrom(write: RunWrite, answer: CommitResult): void {
    this.held.learnFrom(write.runId, answer);
    this.paths.learnFrom(write, answer);
  }

  /** With the commit, one for all that it made due. */
  tell(session: Transaction, dueAt: number | undefined): void {
    if (this.hints === undefined || dueAt === undefined) return;
    const { channel } = this.hints;
    const payload = this.hints.payload(dueAt, this.#parts.tellsAll === true ? "all" : "others");
    // Neither has a quote in it.
    session.withCommit(`notify "${channel}", '${payload}'`);
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
