import { isPawlError, StorageError } from "../../core/errors.js";

/** SQLite's result codes as far as they decide what happens next. */
const codeByName: Readonly<Record<string, number>> = {
  SQLITE_BUSY: 5,
  SQLITE_LOCKED: 6,
  SQLITE_NOMEM: 7,
  SQLITE_READONLY: 8,
  SQLITE_INTERRUPT: 9,
  SQLITE_IOERR: 10,
  SQLITE_CORRUPT: 11,
  SQLITE_FULL: 13,
  SQLITE_CANTOPEN: 14,
  SQLITE_PROTOCOL: 15,
  SQLITE_TOOBIG: 18,
  SQLITE_CONSTRAINT: 19,
  SQLITE_MISMATCH: 20,
  SQLITE_NOTADB: 26,
};

interface DriverFailure {
  /** node:sqlite; libsql; bun:sqlite. better-sqlite3 only has the name. */
  readonly errcode?: unknown;
  readonly rawCode?: unknown;
  readonly errno?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
}

/** The primary result code of a driver's error, 0 if it is none. */
export function sqliteCode(error: unknown): number {
  if (typeof error !== "object" || error === null) return 0;
  const failure = error as DriverFailure;
  for (const code of [failure.errcode, failure.rawCode, failure.errno]) {
    if (typeof code === "number" && code > 0) return code & 0xff;
  }
  const name = /^SQLITE_[A-Z]+/.exec(String(failure.code))?.[0];
  if (name !== undefined) return codeByName[name] ?? 1;
  // libsql tells why it could not open a file only in the text.
  const opening = /Unable to open connection to local database .*: (\d+)/.exec(
    String(failure.message),
  );
  return opening === null ? 0 : Number(opening[1]) & 0xff;
}

/** Somebody else holds the lock: trying again helps. 15: lost a race for the write-ahead log. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === 5 || code === 6 || code === 15;
}

/** The element itself is at fault: too big, of the wrong type, against a constraint. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof Refusal || error instanceof TypeError || error instanceof RangeError)
    return true;
  return [18, 19, 20].includes(sqliteCode(error));
}

/** Thrown while an element is applied, when it must be undone and answered as `rejected`. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Time does not heal it, unlike a disk that can only be read for now; the engine tells them apart by the option. */
export function readonlyError(path: string): StorageError {
  return new StorageError(
    "STORAGE_READONLY",
    `The SQLite file ${path} was opened with readonly: true. Leave out that option to write to it.`,
    { details: { path, option: "readonly" } },
  );
}

function notOurs(path: string, options: ErrorOptions): StorageError {
  return new StorageError(
    "STORAGE_CORRUPT",
    `The SQLite file ${path} holds a blob where a text or a number should be. Was it changed by another program?`,
    options,
  );
}

/** A driver's error as the engine and the user should see it. */
export function storageErrorOf(error: unknown, path: string): StorageError {
  if (isPawlError(error)) return error as StorageError;
  const options = { cause: error, details: { path, sqliteCode: sqliteCode(error) } };
  const text = reasonOf(error);
  // Rows are read as JSON, and no column of ours has a blob.
  if (text.includes("JSON cannot hold BLOB")) return notOurs(path, options);
  switch (sqliteCode(error)) {
    case 8:
      return new StorageError(
        "STORAGE_READONLY",
        `The SQLite file ${path} cannot be written to (${text}). Check the permissions of the file and its directory.`,
        options,
      );
    case 11:
      return new StorageError(
        "STORAGE_CORRUPT",
        `The SQLite file ${path} is damaged (${text}). Restore a backup, or save what can be read with "sqlite3 file .recover".`,
        options,
      );
    case 13:
      return new StorageError(
        "STORAGE_FULL",
        `There is no room left to write to the SQLite file ${path} (${text}). Free disk space, or purge old runs.`,
        options,
      );
    case 26:
      return new StorageError(
        "STORAGE_CORRUPT",
        `${path} is not a SQLite database (${text}). Point the adapter at another file.`,
        options,
      );
    case 5:
    case 6:
      return new StorageError(
        "STORAGE_FAILED",
        `The SQLite file ${path} stayed locked by another process (${text}). Look for a long transaction on it.`,
        options,
      );
    default:
      return new StorageError("STORAGE_FAILED", `SQLite failed on ${path}: ${text}`, options);
  }
}
