import { type Driver, type Parameter, type Row, type Session, textRow } from "./driver.js";

interface PGliteAnswer {
  readonly rows: readonly unknown[];
}

interface PGliteSession {
  query(
    text: string,
    parameters?: (string | null)[],
    options?: { rowMode?: "array" | "object" },
  ): Promise<PGliteAnswer>;
  exec(text: string): Promise<unknown>;
}

/** The part of a `PGlite` that the adapter uses. */
export interface PGliteLike extends PGliteSession {
  transaction(work: (session: PGliteSession) => Promise<unknown>): Promise<unknown>;
}

export class PGliteDriver implements Driver {
  readonly name = "PGlite";
  readonly #database: PGliteLike;

  constructor(database: PGliteLike) {
    this.#database = database;
  }

  query(text: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    return ask(this.#database, text, parameters);
  }

  async transaction<T>(work: (session: Session, tx: unknown) => Promise<T>): Promise<T> {
    const answer = await this.#database.transaction(async (inner) => ({
      value: await work(sessionOf(inner), inner),
    }));
    return (answer as { value: T }).value;
  }

  within(tx: unknown): Session | undefined {
    const isTransaction = typeof tx === "object" && tx !== null && "exec" in tx;
    return isTransaction && !("transaction" in tx) ? sessionOf(tx as PGliteSession) : undefined;
  }

  script(text: string): Promise<void> {
    return run(this.#database, text);
  }

  /** An instance of PGlite is always the application's. */
  async close(): Promise<void> {}
}

function sessionOf(inner: PGliteSession): Session {
  return {
    query: (text, parameters = []) => ask(inner, text, parameters),
    script: (text) => run(inner, text),
  };
}

async function ask(
  session: PGliteSession,
  text: string,
  parameters: readonly Parameter[],
): Promise<readonly Row[]> {
  const { rows } = await session.query(text, [...parameters], { rowMode: "array" });
  return (rows as readonly unknown[][]).map(textRow);
}

async function run(session: PGliteSession, text: string): Promise<void> {
  await session.exec(text);
}
