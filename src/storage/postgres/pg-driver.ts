import { statementName } from "../../core/derived-id.js";
import { Overtaken } from "./context.js";
import {
  beforePlanned,
  type Driver,
  type Parameter,
  planByIndexes,
  plannedPlainly,
  type Row,
  type Session,
  type Transaction,
} from "./driver.js";
import { sqlState } from "./failure.js";
import type { Heard } from "./hints.js";
import { KeptConnection } from "./kept-connection.js";
import { ignore, type PgAnswer, type PgConnection, type PgPool, type PgQuery } from "./pg-pool.js";
import { askOnWire, type WireStatement } from "./wire-statement.js";

/** What every pool of pg has, and its types do not tell. */
interface PoolInternals {
  readonly Client: new (options: unknown) => PgListener;
}

interface PgListener {
  connect(): Promise<unknown>;
  query(query: PgQuery): Promise<PgAnswer>;
  on(event: "error" | "end", listener: () => void): unknown;
  on(event: "notification", listener: (message: { payload?: string }) => void): unknown;
  end(): Promise<void>;
}

export interface PgDriverOptions {
  /** Statements are prepared by name on each connection; false behind a pooler that shares connections. */
  readonly prepare: boolean;
  /** The pool is the adapter's own. */
  readonly ownsPool: boolean;
}

/** For the connection that listens: a server that does not answer at all must not hold up the next try. */
const ANSWER_WITHIN_MS = 5_000;

/** A connection may be dead without a word: nothing that the adapter asks takes so long. */
const LONGEST_QUERY_MS = 15_000;
/** A migration of large tables takes its time. */
const NO_LIMIT = 0;

/** A pool may outlive many adapters, as after each hot reload. */
const listenedTo = new WeakSet<PgPool>();

function listenTo(pool: PgPool): void {
  if (listenedTo.has(pool)) return;
  listenedTo.add(pool);
  if (pool.listenerCount("error") === 0) pool.on("error", ignore);
  // From its first moment: between the pool and whoever gets it nobody listens.
  pool.on("connect", (connection) => connection.on("error", ignore));
}

const asText = { getTypeParser: () => (value: string) => value };

export class PgDriver implements Driver {
  readonly name = "pg";
  readonly #pool: PgPool;
  readonly #kept: KeptConnection;
  readonly #options: PgDriverOptions;
  readonly #names = new Map<string, string>();

  constructor(pool: PgPool, options: PgDriverOptions) {
    this.#pool = pool;
    this.#kept = new KeptConnection(pool, LONGEST_QUERY_MS);
    this.#options = options;
    listenTo(pool);
  }

  query(text: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    this.#kept.giveIfIdle();
    return this.#ask(this.#pool, text, parameters);
  }

  insert(text: string, parameters: readonly Parameter[]): Promise<number> {
    const values = [...parameters];
    return this.#kept.insert(
      this.#options.prepare ? { text, values, name: this.#nameOf(text) } : { text, values },
    );
  }

  async planned(
    text: string,
    parameters: readonly Parameter[],
    once?: string,
  ): Promise<readonly Row[]> {
    const statement = { text, values: [...parameters], before: beforePlanned(once) };
    const rows = this.#options.prepare ? await this.#askInOne(statement) : undefined;
    return rows ?? plannedPlainly(this, text, parameters);
  }

  /** In one message. */
  async #askInOne(statement: Omit<WireStatement, "name">): Promise<readonly Row[] | undefined> {
    this.#kept.giveIfIdle();
    const connection = await this.#pool.connect();
    // The pool does not listen while somebody has it.
    connection.on("error", ignore);
    const name = this.#nameOf(statement.text);
    let failure: Error | undefined;
    try {
      return (await answeredInTime(askOnWire(connection, { ...statement, name })))?.rows;
    } catch (error) {
      // Whatever it is: the pool closes the connection, as it does after a statement of its own that failed.
      failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      connection.off("error", ignore);
      connection.release(failure);
    }
  }

  transaction<T>(work: (session: Transaction) => Promise<T>): Promise<T> {
    return this.#transaction(`begin; ${planByIndexes}`, work);
  }

  begin<T>(work: (session: Session, tx: unknown) => Promise<T>): Promise<T> {
    return this.#transaction("begin", work);
  }

  async #transaction<T>(
    begin: string,
    work: (session: Transaction, tx: unknown) => Promise<T>,
  ): Promise<T> {
    this.#kept.giveIfIdle();
    const connection = await this.#pool.connect();
    // The pool does not listen while somebody has it.
    connection.on("error", ignore);
    let failure: Error | undefined;
    const last: string[] = [];
    const session = {
      ...this.#session(connection),
      withCommit: (text: string) => {
        last.push(text);
      },
    };
    try {
      await this.#command(connection, begin);
      const answer = await work(session, connection);
      await this.#command(connection, [...last, "commit"].join("; "));
      return answer;
    } catch (error) {
      failure = await this.#rollback(connection, error);
      throw error;
    } finally {
      // A connection that could not roll back must not be used again.
      connection.off("error", ignore);
      connection.release(failure);
    }
  }

  async listen(channel: string, heard: Heard): Promise<() => Promise<void>> {
    const connection = await this.#connectionToListen();
    connection.on("error", heard.ended);
    connection.on("end", heard.ended);
    connection.on("notification", ({ payload }) => heard.notified(payload ?? ""));
    try {
      await this.#command(connection, `listen "${channel}"`, ANSWER_WITHIN_MS);
    } catch (error) {
      void connection.end().catch(() => {});
      throw error;
    }
    return () => connection.end();
  }

  /** Not one of the pool's, which has few. */
  async #connectionToListen(): Promise<PgListener> {
    const { Client, options } = this.#pool as PgPool & PoolInternals;
    const connection = new Client({
      ...options,
      connectionTimeoutMillis: ANSWER_WITHIN_MS,
      keepAlive: true,
    });
    // Also if it cannot be made: after the answer that says so there may be more.
    connection.on("error", ignore);
    await connection.connect();
    return connection;
  }

  within(tx: unknown): Session | undefined {
    const isClient = typeof tx === "object" && tx !== null && "query" in tx;
    // A statement of a pool goes to any of its connections.
    return isClient && !("totalCount" in tx) ? this.#session(tx as PgConnection) : undefined;
  }

  #session(connection: Pick<PgPool, "query">): Session {
    return {
      query: (text, parameters = []) => this.#ask(connection, text, parameters),
      script: (text) => this.#command(connection, text, NO_LIMIT),
    };
  }

  async script(text: string): Promise<void> {
    await this.#command(this.#pool, text, NO_LIMIT);
  }

  async close(): Promise<void> {
    if (this.#options.ownsPool) await this.#pool.end();
  }

  async #rollback(connection: PgConnection, cause: unknown): Promise<Error | undefined> {
    // No word from the server, so nothing is to be expected of this connection; its end undoes the transaction.
    if (cause instanceof Error && !(cause instanceof Overtaken) && sqlState(cause) === "")
      return cause;
    try {
      await this.#command(connection, "rollback");
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #command(
    target: Pick<PgPool, "query">,
    text: string,
    query_timeout: number = LONGEST_QUERY_MS,
  ): Promise<void> {
    await target.query({ text, query_timeout, rowMode: "array", types: asText });
  }

  async #ask(
    target: Pick<PgPool, "query">,
    text: string,
    parameters: readonly Parameter[],
  ): Promise<readonly Row[]> {
    const { rows } = await target.query({
      text,
      values: [...parameters],
      query_timeout: LONGEST_QUERY_MS,
      rowMode: "array",
      types: asText,
      ...(this.#options.prepare ? { name: this.#nameOf(text) } : undefined),
    });
    return rows as readonly Row[];
  }

  #nameOf(text: string): string {
    let name = this.#names.get(text);
    if (name === undefined) {
      name = statementName(text);
      this.#names.set(text, name);
    }
    return name;
  }
}

async function answeredInTime<T>(answer: Promise<T> | undefined): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    const error = new Error(`no answer within ${LONGEST_QUERY_MS} ms`);
    timer = setTimeout(() => reject(error), LONGEST_QUERY_MS);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}
