import { StorageError } from "../../core/errors.js";
import type { Driver, Session } from "./driver.js";
import { migrations } from "./migrations.js";

export const schemaVersion = migrations.length;

/**
 * Brings the schema to this library's version. Ten processes that start at once
 * wait for each other at the lock, and the first one does it. Where nothing is
 * missing nothing is locked or written, so a role without the right to change
 * schemas will do.
 *
 * @throws StorageError STORAGE_NEWER
 */
export async function migrate(driver: Driver, schema: string): Promise<void> {
  if ((await checkedVersion(driver, schema)) === schemaVersion) return;
  await driver.transaction(async (session) => {
    await session.query("select pg_advisory_xact_lock(hashtextextended($1, 0))::text", [
      `pawl migrations of ${schema}`,
    ]);
    // Another process was faster, perhaps; under the lock it is certain.
    const version = await checkedVersion(session, schema);
    await session.script(statementsFrom(version, schema).join(";\n"));
  });
}

/** What `migrate` would do to an empty database, for people whose database is changed by others. */
export function migrationScript(schema: string): string {
  return `begin;\n${statementsFrom(0, schema).join(";\n")};\ncommit;\n`;
}

function statementsFrom(version: number, schema: string): string[] {
  if (version >= schemaVersion) return [];
  const quoted = `"${schema}"`;
  return [
    `create schema if not exists ${quoted}`,
    `create table if not exists ${quoted}.meta (key text primary key, value bigint not null)`,
    ...migrations
      .slice(version)
      .map((text) => text.replaceAll("$schema", quoted).trim().replace(/;$/, "")),
    `insert into ${quoted}.meta (key, value) values ('schema', ${schemaVersion}) on conflict (key) do update set value = excluded.value`,
  ];
}

async function checkedVersion(session: Session, schema: string): Promise<number> {
  const version = await versionOf(session, schema);
  if (version <= schemaVersion) return version;
  throw new StorageError(
    "STORAGE_NEWER",
    `The PostgreSQL schema "${schema}" has version ${version}, this version of Pawl knows up to ${schemaVersion}. Update this process.`,
    { details: { schema, found: version, known: schemaVersion } },
  );
}

async function versionOf(session: Session, schema: string): Promise<number> {
  // Not to_regclass, which is refused to a role that may not use the schema.
  const [exists] = await session.query(
    "select '1' from pg_catalog.pg_tables where schemaname = $1 and tablename = 'meta'",
    [schema],
  );
  if (exists === undefined) return 0;
  const [row] = await session.query(
    `select value::text from "${schema}".meta where key = 'schema'`,
  );
  return Number(row?.[0] ?? 0);
}
