import { isPawlError, StorageError } from "../../core/errors.js";

/** The SQLSTATE of a server's error, "" if it is none: all have a digit, unlike EPIPE. */
export function sqlState(error: unknown): string {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : "";
}

export function isUniqueViolation(error: unknown): boolean {
  return sqlState(error) === "23505";
}

/** Libraries on top of a client put errors of their own around the server's. Prisma has codes that look alike. */
export function causedState(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Object && depth < 5; depth++) {
    const { cause, originalCode } = at as { readonly cause?: unknown; originalCode?: unknown };
    const state = sqlState({ code: originalCode }) || sqlState(at);
    if (state !== "" && !/^P[1-9]/.test(state)) return state;
    at = cause;
  }
  return "";
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Place {
  readonly schema: string;
  readonly driver: string;
}

/** A client's or a server's error as the engine and the user should see it. */
export function storageErrorOf(error: unknown, { schema, driver }: Place): StorageError {
  if (isPawlError(error)) return error as StorageError;
  const state = sqlState(error);
  const options = { cause: error, details: { schema, driver, sqlState: state } };
  const text = `${reasonOf(error)}${state === "" ? "" : `, SQLSTATE ${state}`}`;
  switch (state) {
    case "25006":
      return new StorageError(
        "STORAGE_READONLY",
        `PostgreSQL takes no writes (${text}). Is this a standby? Connect to the primary.`,
        options,
      );
    case "53100":
      return new StorageError(
        "STORAGE_FULL",
        `PostgreSQL has no disk space left (${text}). Free some, or purge old runs.`,
        options,
      );
    case "53300":
      return new StorageError(
        "STORAGE_FAILED",
        `PostgreSQL has no connection left (${text}). Raise max_connections, or lower the pool sizes of all processes together.`,
        options,
      );
    case "42501":
      return new StorageError(
        "STORAGE_FAILED",
        `PostgreSQL does not let this role use the schema "${schema}" (${text}). Have an administrator run what postgres.migrations() prints and grant the role usage of the schema, and select, insert, update and delete on its tables.`,
        options,
      );
    default:
      return new StorageError(
        "STORAGE_FAILED",
        `PostgreSQL failed on the schema "${schema}" (through ${driver}): ${text}`,
        options,
      );
  }
}

/** The element itself is at fault: data that the server cannot take, too much of it, against a constraint. */
export function isRefusal(error: unknown): boolean {
  const state = sqlState(error);
  return ["21", "22", "23", "54"].includes(state.slice(0, 2));
}
