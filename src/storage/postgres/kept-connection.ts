import { ignore, type PgAnswer, type PgConnection, type PgPool, type PgQuery } from "./pg-pool.js";

/**
 * A connection for statements that come one after the other, as from a run of one task after the other. To get one of
 * a pool and to give it back costs a tenth of a commit, so it is kept as long as the next statement comes in the same
 * turn of the event loop as the answer to the one before, and nobody else waits for a connection.
 */
export class KeptConnection {
  readonly #pool: PgPool;
  #connection: PgConnection | undefined;
  #isBusy = false;
  #isGivenSoon = false;

  constructor(pool: PgPool) {
    this.#pool = pool;
  }

  /** Of two at once the second takes another connection. */
  async query(query: PgQuery): Promise<PgAnswer> {
    if (this.#isBusy) return this.#pool.query(query);
    this.#isBusy = true;
    try {
      this.#connection ??= await this.#take();
      return await this.#connection.query(query);
    } catch (error) {
      // Whatever it is: the pool closes it, as it does after a statement of its own that failed.
      this.#give(error instanceof Error ? error : true);
      throw error;
    } finally {
      this.#isBusy = false;
      if (this.#pool.waitingCount > 0) this.#give();
      else this.#giveSoon();
    }
  }

  async #take(): Promise<PgConnection> {
    const connection = await this.#pool.connect();
    // The pool does not listen while somebody has it.
    connection.on("error", ignore);
    return connection;
  }

  #giveSoon(): void {
    if (this.#isGivenSoon || this.#connection === undefined) return;
    this.#isGivenSoon = true;
    setImmediate(() => {
      this.#isGivenSoon = false;
      if (!this.#isBusy) this.#give();
    });
  }

  #give(failure?: Error | boolean): void {
    this.#connection?.off("error", ignore);
    this.#connection?.release(failure);
    this.#connection = undefined;
  }
}
