import {
  type Driver,
  type Parameter,
  planByIndexes,
  plannedPlainly,
  type Row,
  type Session,
  type Transaction,
  textRow,
} from "./driver.js";
import type { Heard } from "./hints.js";

interface PGliteAnswer {
  readonly rows: readonly unknown[];
  readonly affectedRows?: number;
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
  listen(channel: string, onNotify: (payload: string) => void): Promise<() => Promise<void>>;
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

  async insert(text: string, parameters: readonly Parameter[]): Promise<number> {
    return (await this.#database.query(text, [...parameters])).affectedRows ?? 0;
  }

  planned(text: string, parameters: readonly Parameter[]): Promise<readonly Row[]> {
    return plannedPlainly(this, text, parameters);
  }

  async transaction<T>(work: (session: Transaction) => Promise<T>): Promise<T> {
    const answer = await this.#database.transaction(async (inner) => {
      await run(inner, planByIndexes);
      const last: string[] = [];
      const withCommit = (text: string) => {
        last.push(text);
      };
      const value = await work({ ...sessionOf(inner), withCommit });
      for (const text of last) await run(inner, text);
      return { value };
    });
    return (answer as { value: T }).value;
  }

  async begin<T>(work: (session: Session, tx: unknown) => Promise<T>): Promise<T> {
    const answer = await this.#database.transaction(async (inner) => ({
      value: await work(sessionOf(inner), inner),
    }));
    return (answer as { value: T }).value;
  }

  listen(channel: string, heard: Heard): Promise<() => Promise<void>> {
    return this.#database.listen(channel, (payload) => heard.notified(payload));
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
