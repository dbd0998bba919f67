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

interface PostgresJsPending {
  values(): Promise<readonly unknown[][] & { readonly count: number }>;
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

  async insert(text: string, parameters: readonly Parameter[]): Promise<number> {
    const { prepare } = this.#options;
    return (await this.#sql.unsafe(text, [...parameters], { prepare }).values()).count;
  }

  planned(text: string, parameters: readonly Parameter[]): Promise<readonly Row[]> {
    return plannedPlainly(this, text, parameters);
  }

  async transaction<T>(work: (session: Transaction) => Promise<T>): Promise<T> {
    const answer = await this.#sql.begin(async (inner) => {
      // Not waited for: it goes out with the first statement.
      const planned = run(inner, planByIndexes);
      const last: string[] = [];
      const withCommit = (text: string) => {
        last.push(text);
      };
      const value = await work({ ...this.#session(inner), withCommit });
      for (const text of last) await run(inner, text);
      await planned;
      return { value };
    });
    return (answer as { value: T }).value;
  }

  async begin<T>(work: (session: Session, tx: unknown) => Promise<T>): Promise<T> {
    const answer = await this.#sql.begin(async (inner) => ({
      value: await work(this.#session(inner), inner),
    }));
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

  within(tx: unknown): Session | undefined {
    const isTransaction = typeof tx === "function" && "unsafe" in tx && "savepoint" in tx;
    return isTransaction ? this.#session(tx as unknown as PostgresJsSession) : undefined;
  }

  #session(inner: PostgresJsSession): Session {
    return {
      query: (text, parameters = []) => this.#ask(inner, text, parameters),
      script: (text) => run(inner, text),
    };
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
