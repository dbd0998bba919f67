import { fingerprintOf } from "../../core/derived-id.js";
import type { Driver, Parameter, Row, Session } from "./driver.js";

interface PgQuery {
  readonly text: string;
  readonly values?: (string | null)[];
  readonly name?: string;
  readonly rowMode: "array";
  readonly types: { getTypeParser(): (value: string) => string };
}

interface PgAnswer {
  readonly rows: readonly unknown[];
}

/** An event emitter, of which an error without a listener ends the process. */
interface Failing {
  on(event: "error", listener: (error: Error) => void): unknown;
}

interface PgConnection extends Failing {
  query(query: PgQuery): Promise<PgAnswer>;
  off(event: "error", listener: (error: Error) => void): unknown;
  release(error?: Error | boolean): void;
}

/** The part of a `Pool` of `pg` that the adapter uses. */
export interface PgPool extends Failing {
  /** Tells a pool from a single client. */
  readonly totalCount: number;
  listenerCount(event: "error"): number;
  query(query: PgQuery): Promise<PgAnswer>;
  connect(): Promise<PgConnection>;
  end(): Promise<void>;
}

export interface PgDriverOptions {
  /** Statements are prepared by name on each connection; false behind a pooler that shares connections. */
  readonly prepare: boolean;
  /** The pool is the adapter's own. */
  readonly ownsPool: boolean;
}

/**
 * A connection that ends while nobody waits for an answer is no news: who asks next gets another one, or the error.
 */
const ignore = () => {};

const asText = { getTypeParser: () => (value: string) => value };

export class PgDriver implements Driver {
  readonly name = "pg";
  readonly #pool: PgPool;
  readonly #options: PgDriverOptions;
  readonly #names = new Map<string, string>();

  constructor(pool: PgPool, options: PgDriverOptions) {
    this.#pool = pool;
    this.#options = options;
    if (pool.listenerCount("error") === 0) pool.on("error", ignore);
  }

  query(text: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    return this.#ask(this.#pool, text, parameters);
  }

  async transaction<T>(work: (session: Session, tx: unknown) => Promise<T>): Promise<T> {
    const connection = await this.#pool.connect();
    // The pool does not listen while somebody has it.
    connection.on("error", ignore);
    let failure: Error | undefined;
    try {
      await this.#command(connection, "begin");
      const answer = await work(this.#session(connection), connection);
      await this.#command(connection, "commit");
      return answer;
    } catch (error) {
      failure = await this.#rollback(connection);
      throw error;
    } finally {
      // A connection that could not roll back must not be used again.
      connection.off("error", ignore);
      connection.release(failure);
    }
  }

  within(tx: unknown): Session | undefined {
    const isClient = typeof tx === "object" && tx !== null && "query" in tx;
    // A statement of a pool goes to any of its connections.
    return isClient && !("totalCount" in tx) ? this.#session(tx as PgConnection) : undefined;
  }

  #session(connection: Pick<PgPool, "query">): Session {
    return {
      query: (text, parameters = []) => this.#ask(connection, text, parameters),
      script: (text) => this.#command(connection, text),
    };
  }

  async script(text: string): Promise<void> {
    await this.#command(this.#pool, text);
  }

  async close(): Promise<void> {
    if (this.#options.ownsPool) await this.#pool.end();
  }

  async #rollback(connection: PgConnection): Promise<Error | undefined> {
    try {
      await this.#command(connection, "rollback");
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #command(target: Pick<PgPool, "query">, text: string): Promise<void> {
    await target.query({ text, rowMode: "array", types: asText });
  }

  async #ask(
    target: Pick<PgPool, "query">,
    text: string,
    parameters: readonly Parameter[],
  ): Promise<readonly Row[]> {
    const { rows } = await target.query({
      text,
      values: [...parameters],
      rowMode: "array",
      types: asText,
      ...(this.#options.prepare ? { name: this.#nameOf(text) } : undefined),
    });
    return rows as readonly Row[];
  }

  /** Made of the statement: several adapters may share a pool, whose connections know a name once. */
  #nameOf(text: string): string {
    let name = this.#names.get(text);
    if (name === undefined) {
      name = `pawl_${fingerprintOf(text)}`;
      this.#names.set(text, name);
    }
    return name;
  }
}
