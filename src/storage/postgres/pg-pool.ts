/** Arrays of texts are asked for by `rowMode` and `types`. */
export interface PgQuery {
  readonly text: string;
  readonly values?: (string | null)[];
  readonly name?: string;
  readonly query_timeout?: number;
  readonly rowMode?: "array";
  readonly types?: { getTypeParser(): (value: string) => string };
}

export interface PgAnswer {
  readonly rows: readonly unknown[];
  readonly rowCount: number | null;
}

/** An event emitter, of which an error without a listener ends the process. */
export interface Failing {
  on(event: "error", listener: (error: Error) => void): unknown;
}

export interface PgConnection extends Failing {
  query(query: PgQuery): Promise<PgAnswer>;
  off(event: "error", listener: (error: Error) => void): unknown;
  release(error?: Error | boolean): void;
}

/** The part of a `Pool` of `pg` that the adapter uses. */
export interface PgPool extends Failing {
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "connect", listener: (connection: Failing) => void): unknown;
  /** Tells a pool from a single client. */
  readonly totalCount: number;
  /** How many wait for a connection. */
  readonly waitingCount: number;
  readonly options: object;
  listenerCount(event: "error"): number;
  query(query: PgQuery): Promise<PgAnswer>;
  connect(): Promise<PgConnection>;
  end(): Promise<void>;
}

/**
 * A connection that ends while nobody waits for an answer is no news: who asks next gets another one, or the error.
 */
export const ignore = () => {};
