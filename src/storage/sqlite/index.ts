import type { Clock } from "../../core/clock.js";
import { ConfigError, describeValue } from "../../core/errors.js";
import { assertGivenOptions } from "../../core/options.js";
import type { Storage } from "../../core/storage.js";
import { type DriverName, driverNames } from "./driver.js";
import { SqliteStorage } from "./storage.js";

export interface SqliteOptions {
  /**
   * A file, made if it does not exist, or ":memory:". It may hold tables of the application's as well. If the
   * application opens it in the same process, it must do so with the same driver: SQLite's locks do not work between
   * two copies of SQLite in one process, and the file would be damaged.
   */
  readonly path: string;
  /**
   * A driver's name, or its `Database` class or module. Without it, the first that is there:
   * node:sqlite, libsql, better-sqlite3; bun:sqlite on Bun.
   */
  readonly driver?: DriverName | object;
  /**
   * "full" (default): what was answered as stored survives a loss of power, at one flush to disk per commit.
   * "relaxed": commits are about ten times faster, but a loss of power, not a mere crash of the process, may take
   * back the last ones that were answered as stored. Tasks whose record is lost run again. The file stays sound.
   */
  readonly durability?: "full" | "relaxed";
  /**
   * Only looks, for tools beside the application: makes, migrates and writes nothing, and refuses every write with
   * `STORAGE_READONLY`. The file must be there, with the schema of this version of Pawl.
   */
  readonly readonly?: boolean;
  /** For tests. Default: the client's clock. */
  readonly clock?: Clock;
}

/**
 * What a task with `transaction: true` writes through: the database object of the driver that the adapter uses, on the
 * adapter's own connection. All drivers have this much of it; with `driver: Database` its type is that of the driver.
 */
export interface SqliteTransaction {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
}

export interface SqliteStatement {
  run(...values: unknown[]): unknown;
  get(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown[];
}

const optionNames = ["path", "driver", "durability", "readonly", "clock"];

/**
 * Keeps everything in one SQLite file, which any number of processes on one machine may share.
 * Nothing is opened before the client starts.
 * @example createClient({ id: "shop", storage: sqlite("shop.db") })
 */
export function sqlite<Database extends SqliteTransaction>(
  options: SqliteOptions & { readonly driver: new (path: string) => Database },
): Storage<Database>;
export function sqlite(pathOrOptions: string | SqliteOptions): Storage<SqliteTransaction>;
export function sqlite(pathOrOptions: string | SqliteOptions): Storage<SqliteTransaction> {
  const options = typeof pathOrOptions === "string" ? { path: pathOrOptions } : pathOrOptions;
  assertGivenOptions(options, optionNames, "sqlite");
  const { path, driver, durability = "full", readonly = false, clock } = options;
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw invalid("path", "the path of a file", path);
  }
  if (durability !== "full" && durability !== "relaxed") {
    throw invalid("durability", '"full" or "relaxed"', durability);
  }
  if (typeof readonly !== "boolean") throw invalid("readonly", "true or false", readonly);
  const known = typeof driver === "string" && (driverNames as readonly string[]).includes(driver);
  const given = (typeof driver === "object" && driver !== null) || typeof driver === "function";
  if (driver !== undefined && !known && !given) {
    throw invalid(
      "driver",
      `one of ${driverNames.join(", ")}, or a driver's Database class`,
      driver,
    );
  }
  return new SqliteStorage({ path, driver, durability, readonly, clock });
}

function invalid(option: string, expected: string, value: unknown): ConfigError {
  return new ConfigError(
    "OPTION_INVALID",
    `The option "${option}" of sqlite must be ${expected}, got ${describeValue(value)}.`,
    { details: { option } },
  );
}
