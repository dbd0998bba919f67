import {
  type Driver,
  type Parameter,
  planByIndexes,
  type Row,
  type Transaction,
  textRow,
} from "./driver.js";
import type { Heard } from "./hints.js";

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
  end(): Promise<unknown>;
  listen(
    channel: string,
    onNotify: (payload: string) => void,
    onListen: () => void,
  ): Promise<{ unlisten(): Promise<void> }>;
}

export interface PostgresJsDriverOptions {
  readonly prepare: boolean;
  /** It is the adapter's own. */
  readonly ownsClient: boolean;
}

export class PostgresJsDriver implements Driver {
  readonly name = "postgres.js";
  readonly #sql: PostgresJs;
  readonly #options: PostgresJsDriverOptions;

  constructor(sql: PostgresJs, options: PostgresJsDriverOptions) {
    this.#sql = sql;
    this.#options = options;
  }

  query(text: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    return this.#ask(this.#sql, text, parameters);
  }

  async transaction<T>(work: (session: Transaction) => Promise<T>): Promise<T> {
    const answer = await this.#sql.begin(async (inner) => {
      // Not waited for: it goes out with the first statement.
      const planned = run(inner, planByIndexes);
      const last: string[] = [];
      const value = await work({
        withCommit: (text) => last.push(text),
        query: (text, parameters = []) => this.#ask(inner, text, parameters),
        script: (text) => run(inner, text),
      });
      for (const text of last) await run(inner, text);
      await planned;
      return { value };
    });
    return (answer as { value: T }).value;
  }

  /** It reconnects by itself, and then says so. */
  async listen(channel: string, heard: Heard): Promise<() => Promise<void>> {
    let isBack = false;
    const { unlisten } = await this.#sql.listen(
      channel,
      (payload) => heard.notified(payload),
      () => {
        // What was sent meanwhile is lost, so it is as good as ended.
        if (isBack) heard.ended();
        isBack = true;
      },
    );
    return unlisten;
  }

  script(text: string): Promise<void> {
    return run(this.#sql, text);
  }

  async close(): Promise<void> {
    if (this.#options.ownsClient) await this.#sql.end();
  }

  async #ask(
    session: PostgresJsSession,
    text: string,
    parameters: readonly Parameter[],
  ): Promise<readonly Row[]> {
    const { prepare } = this.#options;
    const rows = await session.unsafe(text, [...parameters], { prepare }).values();
    return rows.map(textRow);
  }
}

async function run(session: PostgresJsSession, text: string): Promise<void> {
  await session.unsafe(text).simple();
}
