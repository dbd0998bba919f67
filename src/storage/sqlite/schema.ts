import { StorageError } from "../../core/errors.js";
import type { Database } from "./database.js";
import { firstNumber } from "./text.js";

/**
 * Columns that every claim and commit reads come first, user values last: a
 * row's head is on its page, long text behind it is not even looked at.
 *
 * - `rank` puts runs in claim order, lower first (see rank.ts).
 * - `due_at`: see RunRecord. All partial indexes with it cover open runs only.
 * - `wake_at`, `wake_signals`, `kept_by` are what the last release said.
 * - `write_id`: last write that changed the run; `side_write_id`: last one that did not.
 *
 * Log lines lie in the order in which they came, not by run: the thousand lines
 * of one group then fill a few dozen pages instead of touching one page for each
 * run, and every touched page goes to the log as a whole. Tasks lie by run, which
 * keeps them in one tree without an index: that a path is new is known from
 * memory (see recorded-paths.ts).
 */
const firstVersion = `
create table pawl_runs (
  rk integer primary key,
  id text not null unique,
  epoch integer not null,
  status text not null,
  inbox integer not null,
  lease_until integer,
  limit_keys text,
  job_id text not null,
  version text not null,
  internal integer not null,
  rank integer not null,
  due_at integer,
  generation integer not null,
  worker_id text,
  kept_by text,
  claim_id text,
  wake_at integer,
  wake_signals integer not null,
  unread integer not null,
  write_id text,
  side_write_id text,
  create_id text,
  deadline_at integer,
  max_duration_ms integer,
  priority integer not null,
  execution_count integer not null,
  stalls integer not null,
  last_seq integer not null,
  event_id text,
  parent_id text,
  parent_path text,
  idempotency_key text,
  fingerprint text,
  is_test integer not null,
  created_at integer not null,
  started_at integer,
  finished_at integer,
  tags text,
  blocked text,
  meta text,
  state text,
  payload text,
  admitted text,
  output text,
  error text
);
create index pawl_runs_claim on pawl_runs (rank, due_at, rk, job_id, limit_keys, stalls) where due_at is not null;
create index pawl_runs_lane on pawl_runs (job_id, limit_keys, rank, due_at, rk, stalls) where due_at is not null;
create index pawl_runs_blocked on pawl_runs (job_id) where blocked is not null;
create index pawl_runs_limited on pawl_runs (lease_until, limit_keys) where limit_keys is not null and lease_until is not null;
create index pawl_runs_claimed on pawl_runs (claim_id) where claim_id is not null;
create index pawl_runs_deadline on pawl_runs (deadline_at) where deadline_at is not null;
create index pawl_runs_job on pawl_runs (job_id);
create index pawl_runs_event on pawl_runs (event_id) where event_id is not null;
create index pawl_runs_parent on pawl_runs (parent_id) where parent_id is not null;
create index pawl_runs_over on pawl_runs (status) where due_at is null and internal = 0;
create index pawl_runs_finished on pawl_runs (finished_at) where finished_at is not null;

create table pawl_tasks (
  rk integer not null,
  seq integer not null,
  path text not null,
  kind text not null,
  status text not null,
  attempts integer not null,
  started_at integer not null,
  finished_at integer,
  wake_at integer,
  write_id text not null,
  topics text,
  filter text,
  data text,
  error text,
  output text,
  primary key (rk, seq)
) without rowid;

create table pawl_topics (
  topic text not null,
  run_id text not null,
  path text not null,
  rk integer not null,
  seq integer not null,
  primary key (topic, run_id, path)
) without rowid;
create index pawl_topics_run on pawl_topics (rk, path);

create table pawl_signals (
  rk integer not null,
  id text not null,
  position integer not null,
  unread integer not null,
  topic text not null,
  ref text,
  primary key (rk, id)
) without rowid;
create index pawl_signals_unread on pawl_signals (rk, position) where unread = 1;

create table pawl_logs (
  lk integer primary key,
  rk integer not null,
  epoch integer not null,
  ordinal integer not null,
  at integer not null,
  stream text not null,
  path text not null,
  level text not null,
  message text not null,
  data text
);
create unique index pawl_logs_ordinal on pawl_logs (rk, epoch, ordinal);

create table pawl_tags (
  tag text not null,
  rk integer not null,
  primary key (tag, rk)
) without rowid;

create table pawl_keys (
  job_id text not null,
  key text not null,
  run_id text not null,
  fingerprint text,
  created_at integer not null,
  expires_at integer,
  purged_until integer,
  primary key (job_id, key)
) without rowid;
create index pawl_keys_purged on pawl_keys (purged_until) where purged_until is not null;

create table pawl_tombstones (
  id text primary key,
  create_id text,
  fingerprint text,
  created_at integer not null,
  until integer not null
) without rowid;
create index pawl_tombstones_until on pawl_tombstones (until);

create table pawl_values (
  key text primary key,
  version integer not null,
  value text
) without rowid;
create index pawl_values_deleted on pawl_values (key) where value is null;

insert into pawl_meta (key, value) values ('clock', 0), ('starts', 0), ('values', 0);
`;

/** The n-th brings a file from version n - 1 to n. Never change one that was released. */
const migrations: readonly string[] = [firstVersion];

export const schemaVersion = migrations.length;

/** The tables may share a file with the application's, so `user_version` is not ours to use. */
function versionOf(database: Database): number {
  const exists = database.get(
    "select 1 from sqlite_schema where type = 'table' and name = 'pawl_meta'",
  );
  if (exists === undefined) return 0;
  return firstNumber(database.get("select value from pawl_meta where key = 'schema'")) ?? 0;
}

/** Many processes may come here at once: what is missing is decided again under the write lock. */
export function migrate(database: Database): void {
  if (checkedVersion(database) === schemaVersion) return;
  database.transaction(() => {
    const version = checkedVersion(database);
    if (version === 0) {
      database.exec(
        "create table if not exists pawl_meta (key text primary key, value) without rowid",
      );
    }
    for (const statements of migrations.slice(version)) database.exec(statements);
    database.run("insert or replace into pawl_meta (key, value) values ('schema', ?)", [
      schemaVersion,
    ]);
  });
}

/** For a connection that may not migrate. */
export function assertReadable(database: Database): void {
  const version = checkedVersion(database);
  if (version === schemaVersion) return;
  const { path } = database;
  if (version === 0) {
    throw new StorageError(
      "STORAGE_PATH_INVALID",
      `The file ${path} holds no runs of Pawl. Pass the path that the application gives to sqlite(), after it has been started once.`,
      { details: { path } },
    );
  }
  throw new StorageError(
    "STORAGE_READONLY",
    `The SQLite file ${path} has schema version ${version}, this version of Pawl reads ${schemaVersion}, and it was opened read-only. Start the application with this version of Pawl once: it brings the file up to date.`,
    { details: { path, found: version, known: schemaVersion, option: "readonly" } },
  );
}

function checkedVersion(database: Database): number {
  const version = versionOf(database);
  if (version <= schemaVersion) return version;
  throw new StorageError(
    "STORAGE_NEWER",
    `The SQLite file ${database.path} has schema version ${version}, this version of Pawl knows up to ${schemaVersion}. Update this process.`,
    { details: { path: database.path, found: version, known: schemaVersion } },
  );
}
