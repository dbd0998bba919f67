/**
 * `$schema` stands for the quoted name of the schema. The n-th brings a schema
 * from version n - 1 to n. Never change one that was released.
 *
 * - `rank` puts runs in claim order, lower first. `due_at`: see RunRecord.
 * - `wake_at`, `wake_signals`, `keep` are what the last release said.
 * - `write_id`: the last write that was more than task records.
 *
 * A path is recorded once in a run, but no index says so: see recorded-paths.ts.
 *
 * Names are compared as bytes, which is faster, and the same in every database.
 * User values are text, never jsonb: they come back byte for byte (contract §1).
 * Pages of runs keep some room for a row that changes no indexed column, as where
 * it gets a signal (HOT). Claims and ends change `due_at`, which is indexed.
 */
const firstVersion = `
create table $schema.runs (
  rk bigint generated always as identity primary key,
  id text collate "C" not null unique,
  epoch integer not null,
  generation integer not null default 1,
  status text not null,
  inbox integer not null default 0,
  unread integer not null default 0,
  stalls integer not null default 0,
  execution_count integer not null,
  last_seq integer not null default 0,
  priority integer not null,
  rank bigint not null,
  due_at bigint,
  lease_until bigint,
  wake_at bigint,
  wake_signals integer not null default 0,
  deadline_at bigint,
  max_duration_ms bigint,
  created_at bigint not null,
  started_at bigint,
  finished_at bigint,
  internal boolean not null,
  is_test boolean not null,
  job_id text collate "C" not null,
  version text not null,
  worker_id text,
  keep boolean not null default false,
  claim_id text collate "C",
  claim_kept boolean not null default false,
  write_id text,
  create_id text,
  key_expires_at bigint,
  limit_keys text[],
  tags text[],
  event_id text collate "C",
  parent_id text collate "C",
  parent_path text,
  idempotency_key text collate "C",
  fingerprint text,
  blocked text,
  meta text,
  state text,
  payload text,
  admitted text,
  output text,
  error text
) with (fillfactor = 80);
create index runs_claim on $schema.runs (rank, due_at, rk) where due_at is not null;
create index runs_lane on $schema.runs (job_id, rank, due_at, rk) where due_at is not null;
create index runs_held on $schema.runs (claim_id) where claim_id is not null;
create index runs_slots on $schema.runs using gin (limit_keys) where limit_keys is not null and lease_until is not null;
create index runs_blocked on $schema.runs (job_id) where blocked is not null;
create index runs_deadline on $schema.runs (deadline_at) where deadline_at is not null;
create index runs_job on $schema.runs (job_id, created_at);
create index runs_created on $schema.runs (created_at) where not internal;
create index runs_event on $schema.runs (event_id) where event_id is not null;
create index runs_parent on $schema.runs (parent_id) where parent_id is not null;
create index runs_over on $schema.runs (status, rk) where due_at is null and not internal;
create index runs_finished on $schema.runs (finished_at) where finished_at is not null;
create index runs_tags on $schema.runs using gin (tags) where tags is not null;

create table $schema.tasks (
  rk bigint not null,
  seq integer not null,
  path text collate "C" not null,
  kind text not null,
  status text not null,
  attempts integer not null,
  started_at bigint not null,
  finished_at bigint,
  wake_at bigint,
  write_id text not null,
  topics text[],
  filter text,
  data text,
  error text,
  output text,
  primary key (rk, seq)
);
create index tasks_topics on $schema.tasks using gin (topics) where topics is not null and status = 'WAITING';

create table $schema.signals (
  rk bigint not null,
  position bigint generated always as identity,
  id text collate "C" not null,
  unread boolean not null,
  topic text not null,
  ref text,
  primary key (rk, id)
);
create index signals_unread on $schema.signals (rk, position) where unread;

create table $schema.logs (
  rk bigint not null,
  position bigint generated always as identity,
  epoch integer not null,
  ordinal integer not null,
  at bigint not null,
  stream text not null,
  path text collate "C" not null,
  level text not null,
  message text not null,
  data text,
  primary key (rk, epoch, ordinal)
);

create table $schema.keys (
  job_id text collate "C" not null,
  key text collate "C" not null,
  run_id text collate "C" not null,
  primary key (job_id, key)
);
create index keys_run on $schema.keys (run_id);

create table $schema.tombstones (
  id text collate "C" primary key,
  job_id text collate "C" not null,
  idempotency_key text collate "C",
  create_id text,
  key_expires_at bigint,
  fingerprint text,
  created_at bigint not null,
  until bigint not null
);
create index tombstones_until on $schema.tombstones (until);

create table $schema.values (
  key text collate "C" primary key,
  version bigint not null,
  value text
);
`;

export const migrations: readonly string[] = [firstVersion];
