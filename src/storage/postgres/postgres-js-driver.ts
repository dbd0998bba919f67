import { type Driver, type Parameter, type Row, type Session, textRow } from "./driver.js";

interface PostgresJsPending {
  values(): Promise<readonly unknown[][]>;
  simple(): PromiseLike<unknown>;
}

interface PostgresJsSession {
  unsafe(
    text: string,
    parameters?: (string | null)[],
    options?: { prepare?: boolean },
  ): PostgresJsPending;
}

/** The part of an instance of postgres.js that the adapter uses. */
export interface PostgresJs extends PostgresJsSession {
  begin(work: (session: PostgresJsSession) => Promise<unknown>): Promise<unknown>;
}

export class PostgresJsDriver implements Driver {
  readonly name = "postgres.js";
  readonly #sql: PostgresJs;
  readonly #prepare: boolean;

  constructor(sql: PostgresJs, { prepare }: { readonly prepare: boolean }) {
    this.#sql = sql;
    this.#prepare = prepare;
  }

  query(text: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    return this.#ask(this.#sql, text, parameters);
  }

  async transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const answer = await this.#sql.begin(async (inner) => ({
      value: await work({
        query: (text, parameters = []) => this.#ask(inner, text, parameters),
        script: (text) => run(inner, text),
      }),
    }));
    return (answer as { value: T }).value;
  }

  script(text: string): Promise<void> {
    return run(this.#sql, text);
  }

  /** Instances of postgres.js are always the application's. */
  async close(): Promise<void> {}

  async #ask(
    session: PostgresJsSession,
    text: string,
    parameters: readonly Parameter[],
  ): Promise<readonly Row[]> {
    const rows = await session.unsafe(text, [...parameters], { prepare: this.#prepare }).values();
    return rows.map(textRow);
  }
}

async function run(session: PostgresJsSession, text: string): Promise<void> {
  await session.unsafe(text).simple();
}
