import { StorageError } from "../../core/errors.js";
import { requireFor } from "../shared/installed-modules.js";
import type { Driver } from "./driver.js";
import { PgDriver } from "./pg-driver.js";
import type { PgPool } from "./pg-pool.js";
import { type PostgresJs, PostgresJsDriver } from "./postgres-js-driver.js";

interface PgModule {
  readonly Pool: new (options: object) => PgPool;
}

type PostgresJsModule = (
  url: string,
  options: { max: number; prepare: boolean; onnotice: () => void },
) => PostgresJs;

export interface ConnectOptions {
  readonly url: string;
  readonly maxConnections: number;
  readonly prepare: boolean;
}

const CONNECT_WITHIN_MS = 10_000;
const IDLE_IN_TRANSACTION_MS = 10_000;

/**
 * A pool of the adapter's own, by whichever client library is installed. Nothing is connected yet.
 *
 * @throws StorageError DRIVER_MISSING
 */
export function connect({ url, maxConnections, prepare }: ConnectOptions): Driver {
  const pg = requireFor("pg")?.("pg") as PgModule | undefined;
  if (pg !== undefined) {
    const pool = new pg.Pool({
      connectionString: url,
      max: maxConnections,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_WITHIN_MS,
      // Poolers do not take it. Of a process that vanished it frees the rows that it had locked.
      ...(prepare ? { idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS } : undefined),
    });
    return new PgDriver(pool, { prepare, ownsPool: true });
  }
  const postgresJs = requireFor("postgres")?.("postgres") as PostgresJsModule | undefined;
  if (postgresJs !== undefined) {
    const sql = postgresJs(url, { max: maxConnections, prepare, onnotice: () => {} });
    return new PostgresJsDriver(sql, { prepare, ownsClient: true });
  }
  throw new StorageError(
    "DRIVER_MISSING",
    'No PostgreSQL client was found. Run "npm install pg" or "npm install postgres", or pass a client of your own: postgres({ client }).',
  );
}
