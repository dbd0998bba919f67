import { ConfigError, describeValue } from "../../core/errors.js";

const DEFAULT_SCHEMA = "pawl";

/**
 * A name that needs no escape. PostgreSQL cuts longer ones off without a word,
 * and two schemas would become one.
 */
const allowed = /^[a-z_][a-z0-9_]{0,30}$/;

/** @throws ConfigError OPTION_INVALID */
export function checkedSchemaName(name: unknown = DEFAULT_SCHEMA): string {
  if (typeof name === "string" && allowed.test(name) && !name.startsWith("pg_")) return name;
  throw new ConfigError(
    "OPTION_INVALID",
    `The option "schema" of postgres must be a name of at most 31 lower-case letters, digits and "_" that begins with a letter or "_" and not with "pg_", got ${describeValue(name)}.`,
    { details: { option: "schema" } },
  );
}
