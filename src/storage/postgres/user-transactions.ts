import type { Session, UserTransactions } from "./driver.js";
import { type Parameter, textRow } from "./driver.js";
import type { PgPool } from "./pg-pool.js";
import type { PGliteLike } from "./pglite-driver.js";
import type { PostgresJs } from "./postgres-js-driver.js";

/** A row as its client gives it: a list, or an object with the columns in their order. */
type ClientRow = readonly unknown[] | object;

/**
 * Transactions of a library that sits on the client, such as Drizzle, Kysely or Prisma.
 *
 * @example
 * type Tx = Parameters<Parameters<typeof db.transaction>[0]>[0];
 * const transactions: PostgresTransactions<Tx> = {
 *   begin: (work) => db.transaction(work),
 *   query: async (tx, text, parameters) => (await tx.execute(rawSql(text, parameters))).rows,
 * };
 */
export interface PostgresTransactions<Tx> {
  /**
   * Opens a transaction and calls `work` with it. It commits when that resolves, rolls back when that rejects, and
   * rejects if it could not commit.
   */
  begin(work: (tx: Tx) => Promise<void>): Promise<unknown>;
  /** Runs one statement with the parameters $1, $2, …, which are texts, and gives its rows. */
  query(
    tx: Tx,
    text: string,
    parameters: (string | null)[],
  ): Promise<readonly ClientRow[]> | readonly ClientRow[];
}

/** A `Pool` of `pg`, whose transactions are written through a `PoolClient`. */
export interface PoolOf<Tx> extends Omit<PgPool, "connect"> {
  connect(): Promise<Tx>;
  connect(callback: never): void;
}

/** An instance of postgres.js, whose transactions are written through a `TransactionSql`. */
export interface PostgresJsOf<Tx> extends Omit<PostgresJs, "begin"> {
  begin(work: (tx: Tx) => unknown): Promise<unknown>;
  begin(options: string, work: (tx: Tx) => unknown): Promise<unknown>;
}

/** A PGlite, whose transactions are written through its `Transaction`. */
export interface PGliteOf<Tx> extends Omit<PGliteLike, "transaction"> {
  transaction(work: (tx: Tx) => Promise<unknown>): Promise<unknown>;
}

/** The application's own way to open transactions, as the adapter uses it. */
export function givenTransactions<Tx>(given: PostgresTransactions<Tx>): UserTransactions {
  const within = (tx: unknown) => sessionOf(given, tx as Tx);
  return {
    async begin<T>(work: (session: Session, tx: unknown) => Promise<T>): Promise<T> {
      let answer: { readonly value: T } | undefined;
      await given.begin(async (tx) => {
        answer = { value: await work(within(tx), tx) };
      });
      if (answer === undefined) throw new Error("begin() resolved before its work was through.");
      return answer.value;
    },
    within: (tx) => (typeof tx === "object" && tx !== null ? within(tx) : undefined),
  };
}

function sessionOf<Tx>(given: PostgresTransactions<Tx>, tx: Tx): Session {
  const query = async (text: string, parameters: readonly Parameter[] = []) => {
    const rows = await given.query(tx, text, [...parameters]);
    return rows.map((row) => textRow(Array.isArray(row) ? row : Object.values(row)));
  };
  return {
    query,
    script: async (text) => {
      await query(text);
    },
  };
}
