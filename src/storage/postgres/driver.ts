import type { Heard } from "./hints.js";

/** Every column as text. Of a boolean the clients make different ones: a statement casts it to text. */
export type Row = readonly (string | null)[];

/**
 * Parameters are text as well: a statement casts what it takes for something
 * else. A boolean is cast twice, `$1::text::boolean`: of a parameter that is
 * boolean itself postgres.js makes false.
 */
export type Parameter = string | null;

/**
 * Runs in each transaction before its statements. A statement that was prepared while a table was small may scan it,
 * and its plan is kept while the table grows, until the next ANALYZE. Every table here is looked into by an index.
 */
export const planByIndexes = "set local enable_seqscan = off";

/** The same for a statement that follows in the same message, which is no transaction block: there SET LOCAL has no effect. */
const planByIndexesInOne = "select set_config('enable_seqscan', 'off', true)";

export function beforePlanned(once: string | undefined): string {
  if (once === undefined) return planByIndexesInOne;
  return `${planByIndexesInOne}, pg_advisory_xact_lock(hashtextextended('${once.replaceAll("'", "''")}', 0))`;
}

export interface Queries {
  query(text: string, parameters?: readonly Parameter[]): Promise<readonly Row[]>;
}

export interface Session extends Queries {
  /** Several statements without parameters, in one message. */
  script(text: string): Promise<void>;
}

export interface Transaction extends Session {
  /** A statement without parameters that is sent along with the commit. */
  withCommit(text: string): void;
}

/** Transactions as users write into them. */
export interface UserTransactions {
  /**
   * On one connection. What `work` throws rolls it back.
   * @param work is called with what users of this client know a transaction as, too
   */
  begin<T>(work: (session: Session, tx: unknown) => Promise<T>): Promise<T>;
  /** A transaction that the application has open. undefined if it cannot be one. */
  within(tx: unknown): Session | undefined;
}

/**
 * What the adapter needs of a client, whichever it is. All of them hand text
 * back and forth, so one set of readers serves them all.
 */
export interface Driver extends Session, UserTransactions {
  /** For messages. */
  readonly name: string;
  /** Answers how many rows a statement has inserted. */
  insert(text: string, parameters: readonly Parameter[]): Promise<number>;
  /**
   * A statement in a transaction of its own, planned with indexes.
   * @param once where the server goes on with it after its connection was lost, others with this name wait for its end
   */
  planned(text: string, parameters: readonly Parameter[], once?: string): Promise<readonly Row[]>;
  /** One of the adapter's own, planned with indexes. What `work` throws rolls it back. */
  transaction<T>(work: (session: Transaction) => Promise<T>): Promise<T>;
  /** On a connection of its own. Answers how to end that. */
  listen(channel: string, heard: Heard): Promise<() => Promise<void>>;
  /** Ends connections of the adapter's own; those of the application stay open. */
  close(): Promise<void>;
}

/** Of bigint, PGlite and postgres.js make other things, unless they have been told not to. */
export function textRow(values: readonly unknown[]): Row {
  return values.map((value) => (value === null ? null : String(value)));
}

/** Each statement in a transaction of its own, planned with indexes. */
export function oneByOne(driver: Pick<Driver, "planned">): Queries {
  return { query: (text, parameters = []) => driver.planned(text, parameters) };
}

/** For clients that do not send several statements in one message. Without a commit, what is lost is undone. */
export function plannedPlainly(
  driver: Pick<Driver, "transaction">,
  text: string,
  parameters: readonly Parameter[],
): Promise<readonly Row[]> {
  return driver.transaction((session) => session.query(text, parameters));
}
