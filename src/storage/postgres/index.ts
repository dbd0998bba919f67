import type { Clock } from "../../core/clock.js";
import { ConfigError, describeValue } from "../../core/errors.js";
import { assertOptions } from "../../core/options.js";
import type { Storage } from "../../core/storage.js";
import type { Driver } from "./driver.js";
import { connect } from "./load-client.js";
import { PgDriver } from "./pg-driver.js";
import type { PgPool } from "./pg-pool.js";
import { PGliteDriver, type PGliteLike } from "./pglite-driver.js";
import { type PostgresJs, PostgresJsDriver } from "./postgres-js-driver.js";
import { migrationScript } from "./schema.js";
import { checkedSchemaName } from "./schema-name.js";
import { PostgresStorage } from "./storage.js";
import {
  givenTransactions,
  type PGliteOf,
  type PoolOf,
  type PostgresJsOf,
  type PostgresTransactions,
} from "./user-transactions.js";

export type { PgPool } from "./pg-pool.js";
export type { PGliteLike } from "./pglite-driver.js";
export type { PostgresJs } from "./postgres-js-driver.js";
export type {
  PGliteOf,
  PoolOf,
  PostgresJsOf,
  PostgresTransactions,
} from "./user-transactions.js";

/** A client that the application has made, and ends itself. */
export type PostgresClient = PgPool | PostgresJs | PGliteLike;

export interface PostgresOptions<Tx = unknown> {
  /**
   * A connection string. The adapter makes a pool of its own with the package `pg` or, if that is not installed,
   * `postgres`, and ends it with `client.stop()`. Either this or `client`.
   */
  readonly url?: string;
  /** A `Pool` of `pg`, an instance of `postgres` (postgres.js), or a PGlite. `client.stop()` leaves it open. */
  readonly client?: PostgresClient;
  /**
   * Where the tables are, default "pawl". Made if it is not there. At most 31 lower-case letters, digits and "_".
   * Clients with the same schema share their runs.
   */
  readonly schema?: string;
  /**
   * Statements are prepared once per connection. Default true; false behind a pooler that gives each transaction
   * another connection, such as PgBouncer in transaction mode.
   */
  readonly prepare?: boolean;
  /**
   * Processes tell each other by LISTEN and NOTIFY when runs become due, over one more connection each. Default true;
   * false with `prepare: false`, since a pooler that shares connections does not pass notifications on. Without it
   * workers look every `pollMs`.
   */
  readonly notify?: boolean;
  /** Most connections of the pool that `url` makes. Default 6: four for writes, and two. */
  readonly maxConnections?: number;
  /**
   * How a task with `transaction: true` opens its transaction, and `client.withTransaction` reaches one, if the
   * application writes through a library of its own. Default: as `client` does. Its connections may be others than
   * the adapter's, but must lead to the same database, with a role that may use the schema.
   */
  readonly transactions?: PostgresTransactions<Tx>;
  /** For tests. Default: the server's clock. */
  readonly clock?: Pick<Clock, "now">;
}

const optionNames = [
  "url",
  "client",
  "schema",
  "prepare",
  "notify",
  "maxConnections",
  "transactions",
  "clock",
];

/**
 * Keeps everything in one schema of a PostgreSQL database (13 or later), which any number of processes on any number
 * of machines may share. Nothing is connected before the client starts.
 *
 * @throws ConfigError OPTION_INVALID
 * @example createClient({ id: "shop", storage: postgres(process.env.DATABASE_URL) })
 * @example createClient({ id: "shop", storage: postgres({ client: new pg.Pool() }) })
 */
export function postgres<Tx>(
  options: PostgresOptions<Tx> & { readonly transactions: PostgresTransactions<Tx> },
): Storage<Tx>;
export function postgres<Tx>(
  options: PostgresOptions & { readonly client: PoolOf<Tx> },
): Storage<Tx>;
export function postgres<Tx>(
  options: PostgresOptions & { readonly client: PostgresJsOf<Tx> },
): Storage<Tx>;
export function postgres<Tx>(
  options: PostgresOptions & { readonly client: PGliteOf<Tx> },
): Storage<Tx>;
export function postgres(urlOrOptions: string | PostgresOptions): Storage;
export function postgres(urlOrOptions: string | PostgresOptions): Storage {
  const options = typeof urlOrOptions === "string" ? { url: urlOrOptions } : urlOrOptions;
  assertOptions(options, optionNames, "postgres");
  const { clock, prepare = true, notify = prepare } = options;
  const schema = checkedSchemaName(options.schema);
  if (typeof prepare !== "boolean") throw invalid("prepare", "true or false", prepare);
  if (typeof notify !== "boolean") throw invalid("notify", "true or false", notify);
  const transactions = checkedTransactions(options.transactions);
  return new PostgresStorage({
    open: opener(options, prepare),
    schema,
    clock,
    notify,
    transactions,
  });
}

/**
 * The statements that make the schema, for a database that is changed by its administrators. A role that may use the
 * schema and read and write its tables is then enough for the application.
 *
 * @throws ConfigError OPTION_INVALID
 * @example console.log(postgres.migrations())
 */
postgres.migrations = (options: Pick<PostgresOptions, "schema"> = {}): string => {
  assertOptions(options, ["schema"], "postgres.migrations");
  return migrationScript(checkedSchemaName(options.schema));
};

function checkedTransactions(given: PostgresTransactions<unknown> | undefined) {
  if (given === undefined) return undefined;
  if (!has<PostgresTransactions<unknown>>(given, "begin", "query"))
    throw invalid("transactions", "an object with the functions begin and query", given);
  return givenTransactions(given);
}

function opener(options: PostgresOptions, prepare: boolean): () => Driver {
  const { url, client, maxConnections = 6 } = options;
  if ((url === undefined) === (client === undefined)) {
    throw new ConfigError(
      "OPTION_INVALID",
      `postgres takes either "url" or "client", got ${url === undefined ? "neither" : "both"}.`,
      { details: { option: "url" } },
    );
  }
  if (client !== undefined) {
    const driver = driverOf(client, prepare);
    return () => driver;
  }
  if (typeof url !== "string" || !/^postgres(ql)?:\/\//.test(url)) {
    // Not the value: it may hold a password.
    throw invalid("url", 'a connection string that begins with "postgres://"', typeof url);
  }
  if (!Number.isInteger(maxConnections) || maxConnections < 1) {
    throw invalid("maxConnections", "a whole number of at least 1", maxConnections);
  }
  return () => connect({ url, maxConnections, prepare });
}

function driverOf(client: PostgresClient, prepare: boolean): Driver {
  if (has<PostgresJs>(client, "unsafe", "begin"))
    return new PostgresJsDriver(client, { prepare, ownsClient: false });
  if (has<PGliteLike>(client, "exec", "transaction")) return new PGliteDriver(client);
  // A `Client` of pg has the methods as well, but is one connection.
  const isPool = has<PgPool>(client, "connect", "query") && "totalCount" in client;
  if (isPool) return new PgDriver(client, { prepare, ownsPool: false });
  throw invalid(
    "client",
    'a Pool of "pg" (not a Client, which is one connection), an instance of "postgres", or a PGlite',
    client,
  );
}

function has<T>(client: unknown, ...methods: readonly (keyof T & string)[]): client is T {
  const isObject = typeof client === "object" || typeof client === "function";
  if (!isObject || client === null) return false;
  return methods.every(
    (name) => typeof (client as Readonly<Record<string, unknown>>)[name] === "function",
  );
}

function invalid(option: string, expected: string, value: unknown): ConfigError {
  return new ConfigError(
    "OPTION_INVALID",
    `The option "${option}" of postgres must be ${expected}, got ${describeValue(value)}.`,
    { details: { option } },
  );
}
