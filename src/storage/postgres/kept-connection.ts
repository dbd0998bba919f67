import { ignore, type PgConnection, type PgPool } from "./pg-pool.js";
import { askOnWire, type WireStatement } from "./wire-statement.js";

/** `name` is missing where statements are not prepared. */
export type Insert = Pick<WireStatement, "text" | "values"> & { readonly name?: string };

/** Longer than a run takes from one task to the next, and too short for anybody who wants a connection to notice. */
const KEPT_MS = 1;

/**
 * A connection for statements that come one after the other, as from a run of one task after the other. To get one of
 * a pool and to give it back costs a tenth of a commit, so it is kept until nothing was asked of it for a moment or
 * somebody else waits for a connection.
 */
export class KeptConnection {
  readonly #pool: PgPool;
  readonly #answerWithinMs: number;
  #connection: PgConnection | undefined;
  #isBusy = false;
  /** Both are moved with each statement, which costs less than new ones. */
  #idle: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  #failed: (error: Error) => void = ignore;

  constructor(pool: PgPool, answerWithinMs: number) {
    this.#pool = pool;
    this.#answerWithinMs = answerWithinMs;
  }

  /** Answers how many rows there are. Of two at once the second takes another connection. */
  async insert(insert: Insert): Promise<number> {
    if (this.#isBusy)
      return insertPlainly(this.#pool, { ...insert, query_timeout: this.#answerWithinMs });
    this.#isBusy = true;
    try {
      this.#connection ??= await this.#take();
      return await this.#answerOf(this.#connection, insert);
    } catch (error) {
      // Whatever it is: the pool closes it, as it does after a statement of its own that failed.
      this.#give(error instanceof Error ? error : true);
      throw error;
    } finally {
      this.#isBusy = false;
      if (this.#pool.waitingCount > 0) this.#give();
      else this.#idle?.refresh();
    }
  }

  /** For whoever is going to ask the pool. */
  giveIfIdle(): void {
    if (!this.#isBusy) this.#give();
  }

  #answerOf(connection: PgConnection, insert: Insert): Promise<number> {
    this.#silence?.refresh();
    return new Promise((resolve, reject) => {
      this.#failed = reject;
      insertOn(connection, insert).then(resolve, reject);
    });
  }

  async #take(): Promise<PgConnection> {
    const connection = await this.#pool.connect();
    // The pool does not listen while somebody has it.
    connection.on("error", ignore);
    this.#idle = setTimeout(() => this.giveIfIdle(), KEPT_MS);
    this.#silence = setTimeout(() => {
      this.#failed(new Error(`no answer within ${this.#answerWithinMs} ms`));
    }, this.#answerWithinMs);
    return connection;
  }

  #give(failure?: Error | boolean): void {
    clearTimeout(this.#idle);
    clearTimeout(this.#silence);
    // Moved once more, a timer that was cleared would come back.
    this.#idle = undefined;
    this.#silence = undefined;
    this.#connection?.off("error", ignore);
    this.#connection?.release(failure);
    this.#connection = undefined;
  }
}

/** A prepared insert. Answers how many rows there are. */
async function insertOn(connection: PgConnection, insert: Insert): Promise<number> {
  const { name } = insert;
  const answer = name === undefined ? undefined : await askOnWire(connection, { ...insert, name });
  return answer?.count ?? insertPlainly(connection, insert);
}

async function insertPlainly(
  target: Pick<PgConnection, "query">,
  insert: Insert & { readonly query_timeout?: number },
): Promise<number> {
  const { rowCount } = await target.query(insert);
  return rowCount ?? 0;
}
