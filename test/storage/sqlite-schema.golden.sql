CREATE TABLE pawl_keys (
  job_id text not null,
  key text not null,
  run_id text not null,
  fingerprint text,
  created_at integer not null,
  expires_at integer,
  purged_until integer,
  primary key (job_id, key)
) without rowid;
CREATE INDEX pawl_keys_purged on pawl_keys (purged_until) where purged_until is not null;
CREATE TABLE pawl_logs (
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
CREATE UNIQUE INDEX pawl_logs_ordinal on pawl_logs (rk, epoch, ordinal);
CREATE TABLE pawl_meta (key text primary key, value) without rowid;
CREATE TABLE pawl_runs (
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
CREATE INDEX pawl_runs_blocked on pawl_runs (job_id) where blocked is not null;
CREATE INDEX pawl_runs_claim on pawl_runs (rank, due_at, rk, job_id, limit_keys, stalls) where due_at is not null;
CREATE INDEX pawl_runs_claimed on pawl_runs (claim_id) where claim_id is not null;
CREATE INDEX pawl_runs_deadline on pawl_runs (deadline_at) where deadline_at is not null;
CREATE INDEX pawl_runs_event on pawl_runs (event_id) where event_id is not null;
CREATE INDEX pawl_runs_finished on pawl_runs (finished_at) where finished_at is not null;
CREATE INDEX pawl_runs_job on pawl_runs (job_id);
CREATE INDEX pawl_runs_lane on pawl_runs (job_id, limit_keys, rank, due_at, rk, stalls) where due_at is not null;
CREATE INDEX pawl_runs_limited on pawl_runs (lease_until, limit_keys) where limit_keys is not null and lease_until is not null;
CREATE INDEX pawl_runs_over on pawl_runs (status) where due_at is null and internal = 0;
CREATE INDEX pawl_runs_parent on pawl_runs (parent_id) where parent_id is not null;
CREATE TABLE pawl_signals (
  rk integer not null,
  id text not null,
  position integer not null,
  unread integer not null,
  topic text not null,
  ref text,
  primary key (rk, id)
) without rowid;
CREATE INDEX pawl_signals_unread on pawl_signals (rk, position) where unread = 1;
CREATE TABLE pawl_tags (
  tag text not null,
  rk integer not null,
  primary key (tag, rk)
) without rowid;
CREATE TABLE pawl_tasks (
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
CREATE TABLE pawl_tombstones (
  id text primary key,
  create_id text,
  fingerprint text,
  created_at integer not null,
  until integer not null
) without rowid;
CREATE INDEX pawl_tombstones_until on pawl_tombstones (until);
CREATE TABLE pawl_topics (
  topic text not null,
  run_id text not null,
  path text not null,
  rk integer not null,
  seq integer not null,
  primary key (topic, run_id, path)
) without rowid;
CREATE INDEX pawl_topics_run on pawl_topics (rk, path);
CREATE TABLE pawl_values (
  key text primary key,
  version integer not null,
  value text
) without rowid;
CREATE INDEX pawl_values_deleted on pawl_values (key) where value is null;
